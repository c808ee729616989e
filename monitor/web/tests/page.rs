//! The page in a real browser.

#[path = "support/browser.rs"]
mod browser;
mod support;

use browser::Browser;
use serde_json::json;
use support::demo::{self, DEAF_S, LENGTH_S, Story};
use support::*;

/// The right arrow key.
const RIGHT: &str = "\u{e014}";
/// The left arrow key.
const LEFT: &str = "\u{e012}";

#[test]
fn from_the_list_to_a_moment_of_the_past_and_back() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    let browser = Browser::start();
    browser.open(&bench.url("/"));
    browser.wait_for(".mvpns", "red");
    browser.wait_for(".mvpns", "blue");
    browser.click("[data-key='mvpn red']");
    browser.wait_for("#pes", "PE1-Frankfurt");
    browser.wait_for("#pes", "10.2.0.99");
    browser.wait_for("#alarms", "PE6-Zurich");
    browser.wait_for("#tree", "239.1.1.1");
    browser.wait_for("#expected", "1 missing");
    // The stranger is not yet there half an hour before; the address of the page is all it takes.
    let before = moment(LENGTH_S - 1_800);
    browser.open(&bench.url(&format!("/?mvpn=red&range=21600000&at={before}")));
    browser.wait_for("#pes", "PE6-Zurich");
    browser.wait_without("#pes", "10.2.0.99");
    browser.wait_without("body", "pe-unexpected");
    browser.wait_for("#expected", "all here");
    // From change to change.
    let here = browser.url();
    browser.click("#next");
    browser.wait_to_leave(&here);
    let after = browser.url();
    assert!(!after.contains(&before), "{after}");
    browser.click("#previous");
    // Where nobody listened.
    let deaf = moment(DEAF_S.start + 1_800);
    browser.open(&bench.url(&format!("/?mvpn=red&range=21600000&at={deaf}")));
    browser.wait_for("#nobody", "Nobody listened then");
    assert_eq!(
        browser.text("#pes"),
        None,
        "nothing is known, and nothing is shown"
    );
    browser.wait_without("body", "No PE takes part");
    let gap = "return document.querySelectorAll('.slider rect.deaf').length > 0";
    assert_eq!(browser.run(gap), json!(true));
    browser.click("#nobody button:last-child");
    browser.wait_for("#when", &moment(DEAF_S.end)[11..19]);
    // The hand by the keyboard.
    let here = browser.url();
    browser.type_into("#hand", &RIGHT.repeat(20));
    browser.wait_without("#when", &moment(DEAF_S.end)[11..19]);
    browser.wait_to_leave(&here);
    browser.wait_for("#pes", "PE1-Frankfurt");
    assert_eq!(browser.complaints(), [] as [String; 0]);
}

#[test]
fn what_changes_is_shown_without_asking() {
    let folder = tempfile::tempdir().unwrap();
    let location = vmscope_store::Location::new(folder.path().join("live.sqlite"));
    let began = vmscope_web::now().as_nanosecond() as i64 - (LENGTH_S * 1_000_000_000) as i64;
    demo::write(&location, began + (LENGTH_S * 1_000_000_000) as i64);
    let bench = bench(&location, false);
    let browser = Browser::start();
    browser.open(&bench.url("/?mvpn=red"));
    browser.wait_for("#pes", "10.2.0.99");
    browser.wait_for("#link", "connected");
    let story = Story::begin(&location, 43, began, LENGTH_S + 1);
    // What the session before knew is of the past.
    story.watch("red", LENGTH_S + 2);
    browser.wait_without("#pes", "10.2.0.99");
    story.said("red", LENGTH_S + 3, demo::neighbor(55, 7));
    browser.wait_for("#pes", "10.2.0.55");
    story.gone(
        "red",
        LENGTH_S + 4,
        LENGTH_S + 3,
        demo::neighbor(55, 7),
        vmscope_core::view::Cause::Expired,
    );
    browser.wait_without("#pes", "10.2.0.55");
    // A moment of the past stays as it is.
    browser.open(&bench.url(&format!("/?mvpn=red&at={}", now_less(900 + 60))));
    browser.wait_for("#pes", "PE1-Frankfurt");
    story.said("red", LENGTH_S + 5, demo::neighbor(56, 7));
    let listed = || bench.get("/api/v1/mvpns/red").body.contains("10.2.0.56");
    while !listed() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!browser.text("#pes").unwrap().contains("10.2.0.56"));
    story.stop();
    assert_eq!(browser.complaints(), [] as [String; 0]);
}

fn now_less(s: i64) -> String {
    let then = vmscope_web::now() - jiff::SignedDuration::from_secs(s);
    then.to_string()
}

#[test]
fn a_customer_logs_in_sees_their_own_and_logs_out() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, true);
    let browser = Browser::start();
    browser.open(&bench.url("/"));
    browser.wait_for("h1", "Log in");
    browser.wait_without("body", "MVPNs /");
    browser.type_into("#token", "vmscope_wrong\n");
    browser.wait_for("#login-problem", "not known");
    browser.run("document.querySelector('#token').value = ''");
    browser.type_into("#token", &format!("{}\n", bench.red));
    browser.wait_for(".mvpns", "red");
    assert!(!browser.text("body").unwrap().contains("blue"));
    assert_eq!(
        browser.run("return document.cookie"),
        json!(""),
        "no script sees the session"
    );
    browser.open(&bench.url("/?mvpn=blue"));
    browser.wait_for("main", "or it is not yours");
    browser.open(&bench.url("/?mvpn=nil"));
    browser.wait_for("main", "or it is not yours");
    browser.click("#visitor button");
    browser.wait_for("h1", "Log in");
    browser.open(&bench.url("/?mvpn=red"));
    browser.wait_for("h1", "Log in");
}

#[test]
fn the_matrix_of_pairs_has_its_figures_for_the_keyboard_too() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    let browser = Browser::start();
    browser.open(&bench.url(&format!("/?mvpn=red&at={}", moment(LENGTH_S))));
    browser.wait_for("#pairs", "doubtful");
    let cell = "return [...document.querySelectorAll('.matrix button')].find((b) => b.getAttribute('aria-label').startsWith('red-PE1 to red-PE6'))";
    browser.run(&format!("({{f() {{ {cell} }}}}).f().focus()"));
    browser.wait_for("#pair", "red-PE1 → red-PE6");
    browser.wait_for("#pair", "1.47 %");
    browser.click("[data-key='metric delay']");
    browser.wait_for(".matrix", "103.0 ms");
    assert_eq!(
        browser.run("return document.querySelectorAll('.matrix tbody tr').length"),
        json!(6)
    );
    assert_eq!(
        browser.run("return document.querySelectorAll('.matrix th[scope=row]').length"),
        json!(6)
    );
    // An hour before, nothing was measured: that is said, and is no matrix of zeros.
    browser.open(&bench.url(&format!("/?mvpn=red&at={}", moment(LENGTH_S - 3_600))));
    browser.wait_for("#pairs", "Nothing was measured");
    assert_eq!(browser.complaints(), [] as [String; 0]);
}

#[test]
fn two_moments_are_compared_and_what_is_narrow_stays_within_the_window() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    let browser = Browser::start();
    let (mark, at) = (moment(LENGTH_S - 1_800), moment(LENGTH_S));
    browser.open(&bench.url(&format!("/?mvpn=red&at={at}&mark={mark}")));
    browser.wait_for("#changes", "What these two moments differ in");
    browser.wait_for("#changes", "PE6-Zurich is no longer here");
    browser.wait_for("#changes", "10.2.0.99 is here");
    assert!(
        !browser
            .text("#changes")
            .unwrap()
            .contains("PE1-Frankfurt is here")
    );
    browser.open(&bench.url(&format!(
        "/?mvpn=red&at={at}&mark={}",
        moment(DEAF_S.start + 60)
    )));
    browser.wait_for("#changes", "Nobody listened at the first moment");
    // Text is text, whatever it says.
    browser.open(&bench.url("/?mvpn=%3Cimg%20src=x%20onerror=alert(1)%3E"));
    browser.wait_for("main", "<img src=x onerror=alert(1)>");
    assert_eq!(
        browser.run("return document.querySelectorAll('main img').length"),
        json!(0)
    );
    browser.open(&bench.url("/?mvpn=red"));
    browser.wait_for("#pes", "PE1-Frankfurt");
    browser.type_into("#hand", &LEFT.repeat(3));
    browser.narrow_to(360);
    let widest = browser.run("return document.querySelector('main').scrollWidth");
    assert!(widest.as_u64().unwrap() <= 360, "{widest}");
}

#[test]
fn one_way_losses_are_shown_with_interval_and_doubt_and_only_to_the_provider() {
    let (_folder, location) = demonstration();
    let ours = bench(&location, false);
    let browser = Browser::start();
    browser.open(&ours.url("/"));
    browser.wait_for("#oneway", "up red-PE1");
    for what in [
        "2.13 %",
        "1.99 % to 2.28 %",
        "down red-PE2",
        "leaf 0",
        "doubtful",
        "fewer than 30 losses",
        "nothing is known yet",
    ] {
        browser.wait_for("#oneway", what);
    }
    assert_eq!(browser.complaints(), [] as [String; 0]);
    let bench = bench(&location, true);
    browser.open(&bench.url("/"));
    browser.wait_for("h1", "Log in");
    browser.type_into("#token", &format!("{}\n", bench.red));
    browser.wait_for(".mvpns", "red");
    browser.wait_without("body", "One-way loss");
}

//! What people read, as snapshots; what programs read, as round trips.

use super::text::Paint;
use super::*;

#[test]
fn text_of_a_run_that_passed() {
    insta::assert_snapshot!(text::render(&sample::passed(), Paint::Plain));
}

#[test]
fn text_of_a_run_that_failed() {
    insta::assert_snapshot!(text::render(&sample::failed(), Paint::Plain));
}

#[test]
fn text_of_many_pairs_is_summed_up() {
    let mut report = sample::passed();
    report.pairs = (0..60)
        .map(|i| Pair {
            sender: format!("s{i}"),
            ..report.pairs[i % 6].clone()
        })
        .collect();
    if let Some(measured) = &mut report.pairs[50].measured {
        measured.lost += 3;
    }
    insta::assert_snapshot!(text::render(&report, Paint::Plain));
}

#[test]
fn a_line_a_run_and_the_totals() {
    let unsound = Report {
        verdict: Verdict::Infrastructure {
            what: "the sealed lab was not done after 5 s\n  its last words".into(),
        },
        ..sample::passed()
    };
    let reports = [sample::passed(), sample::failed(), unsound];
    let lines: Vec<String> = reports
        .iter()
        .map(|report| text::line(report, Paint::Plain))
        .collect();
    insta::assert_snapshot!(format!("{}\n{}", lines.join("\n"), text::totals(&reports)));
}

#[test]
fn colours_only_where_asked_for() {
    assert!(!text::render(&sample::failed(), Paint::Plain).contains('\x1b'));
    assert!(text::render(&sample::failed(), Paint::Ansi).contains("\x1b[1;31mFAIL"));
}

#[test]
fn junit_has_a_case_for_each_expectation() {
    let skipped = Report {
        verdict: Verdict::Skipped {
            reason: "no netem here".into(),
        },
        findings: Vec::new(),
        ..sample::passed()
    };
    let unsound = Report {
        verdict: Verdict::Infrastructure {
            what: "QEMU died".into(),
        },
        findings: Vec::new(),
        ..sample::passed()
    };
    insta::assert_snapshot!(
        junit::render(&[sample::passed(), sample::failed(), skipped, unsound]).unwrap()
    );
}

#[test]
fn json_of_a_run() {
    insta::assert_snapshot!(String::from_utf8(json::render(&sample::failed()).unwrap()).unwrap());
}

#[test]
fn json_reads_back_and_gives_the_same_bytes() {
    let bytes = json::render(&sample::failed()).unwrap();
    let report = json::parse(&bytes).unwrap();
    assert_eq!(report, sample::failed());
    assert_eq!(json::render(&report).unwrap(), bytes);
}

#[test]
fn what_is_no_report_is_refused() {
    assert!(json::parse(b"{}").unwrap_err().contains("no report"));
    let other = Report {
        format: 99,
        ..sample::passed()
    };
    assert!(
        json::parse(&json::render(&other).unwrap())
            .unwrap_err()
            .contains("format 99")
    );
}

#[test]
fn html_is_self_contained_and_says_the_verdict() {
    for report in [sample::passed(), sample::failed()] {
        let page = html::render(&report);
        assert!(page.contains(report.verdict.word()));
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            let found = page.matches(outside).count()
                - page.matches("http://www.w3.org/").count() * usize::from(outside == "http://");
            assert_eq!(found, 0, "the page fetches something: {outside}");
        }
    }
}

#[test]
fn html_escapes_what_a_scenario_says() {
    let report = Report {
        title: "<script>alert(1)</script>".into(),
        ..sample::passed()
    };
    assert!(!html::render(&report).contains("<script>"));
}

/// Writes the pages where someone can look at them: `MVPNLAB_SAMPLE_DIR=… cargo test sample_pages`.
#[test]
fn sample_pages() {
    let Some(folder) = std::env::var_os("MVPNLAB_SAMPLE_DIR") else {
        return;
    };
    for report in [sample::passed(), sample::failed()] {
        let file = std::path::Path::new(&folder).join(format!("{}.html", report.verdict.word()));
        std::fs::write(file, html::render(&report)).unwrap();
    }
}

#[test]
fn how_long_events_took_to_show_stands_below_their_check() {
    let mut report = sample::passed();
    let figures = [
        ("silence_events", 9),
        ("silence_median_ns", 980_000),
        ("silence_max_ns", 1_659_000),
        ("messages", 181),
    ];
    report.findings[0].figures = figures
        .map(|(name, n)| (name.to_owned(), crate::check::Figure::Count(n)))
        .into();
    let text = text::render(&report, Paint::Plain);
    let line = "silence        9 events, median 980.0 µs, at most 1.659 ms";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("messages"));
}

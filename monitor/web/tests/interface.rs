//! The interface over real sockets: answers, who gets them, and who does not.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::demo::{self, DEAF_S, LENGTH_S, Story};
use support::place::on_both;
use support::*;
use vmscope_store::Location;
use vmscope_web::token::Tokens;
use vmscope_web::{ServeError, Server, Settings};

/// All that a token can ask for, about an MVPN.
fn questions(mvpn: &str) -> Vec<String> {
    let (from, until) = (moment(DEAF_S.end), moment(LENGTH_S));
    let of = format!("/api/v1/mvpns/{mvpn}");
    vec![
        of.clone(),
        format!("{of}/states?limit=3"),
        format!("{of}/groups/239.1.1.1"),
        format!("{of}/pes/10.2.0.11"),
        format!("{of}/changes?from={from}&until={until}&limit=7"),
        format!("{of}/difference?from={from}&to={until}"),
        format!("{of}/density?from={from}&until={until}&buckets=20"),
        format!("{of}/steps?at={until}"),
        format!("/api/v1/tasks/{mvpn}/pairs?from={from}&until={until}"),
    ]
}

fn names(list: &Value, of: &str) -> BTreeSet<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|item| item[of].as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_heard_is_answered_by_both_databases() {
    on_both(|location| {
        demo::write(location, END_NS);
        let bench = bench(location, false);
        let list = bench.get("/api/v1/mvpns").json();
        assert_eq!(names(&list["mvpns"], "mvpn"), set(&["blue", "red"]));
        let red = &list["mvpns"][1];
        assert_eq!((&red["pes"], &red["pes_missing"]), (&json!(6), &json!(1)));
        assert_eq!(
            (&red["alarms"]["critical"], &red["alarms"]["major"]),
            (&json!(1), &json!(1))
        );

        let now = bench.get("/api/v1/mvpns/red").json();
        let state = |pe: &str| {
            let pes = now["pes"].as_array().unwrap();
            let found = pes.iter().find(|of| of["pe"] == pe).unwrap();
            (found["expected"].clone(), !found["neighbor"].is_null())
        };
        assert_eq!(state("10.2.0.11"), (json!("required"), true));
        assert_eq!(state("10.2.0.16"), (json!("required"), false));
        assert_eq!(state("10.2.0.17"), (json!("optional"), false));
        assert_eq!(state("10.2.0.99"), (json!("unexpected"), true));
        assert_eq!(now["mappings"].as_array().unwrap().len(), 1);
        let before = bench
            .get(&format!(
                "/api/v1/mvpns/red?at={}",
                moment(LENGTH_S - 1_000)
            ))
            .json();
        assert!(!before.to_string().contains("10.2.0.99"));
        assert_eq!(before["alarms"], json!([]));

        let deaf = bench
            .get(&format!(
                "/api/v1/mvpns/red?at={}",
                moment(DEAF_S.start + 60)
            ))
            .json();
        assert_eq!(deaf["heard"]["listening"], "no");
        assert_eq!(deaf["heard"]["next"], moment(DEAF_S.end));
        assert_eq!(
            deaf["pes"],
            json!([]),
            "nothing was expected then, and nothing heard"
        );

        let tree = bench.get("/api/v1/mvpns/red/groups/239.1.1.1").json();
        assert_eq!(
            tree["senders"],
            json!([{"pe": "10.2.0.11", "source": "10.11.0.1", "data_mdt": "239.200.0.4"}])
        );
        assert_eq!(tree["wanters_total"], 4);
        let nobody = bench.get("/api/v1/mvpns/red/groups/239.9.9.9").json();
        assert_eq!(nobody["wanters_total"], 0);

        let pairs = bench
            .get(&format!(
                "/api/v1/tasks/red/pairs?from={}&until={}",
                moment(LENGTH_S - 120),
                moment(LENGTH_S)
            ))
            .json();
        assert_eq!(pairs["pairs"].as_array().unwrap().len(), 30);
        let pair = |a: &str, b: &str| {
            let pairs = pairs["pairs"].as_array().unwrap().iter();
            pairs
                .clone()
                .find(|p| p["sender"] == a && p["receiver"] == b)
                .unwrap()
                .clone()
        };
        let lossy = pair("red-PE1", "red-PE6");
        // Two intervals, the last but one and the last.
        assert_eq!(
            (&lossy["intervals"], &lossy["sent"], &lossy["lost"]),
            (&json!(2), &json!(6_000), &json!(41 + 42))
        );
        assert_eq!(pair("red-PE4", "red-PE2")["capture_drops"], 1);
        assert_eq!(pair("red-PE1", "red-PE2")["delay_mean_ms"], 11.2);
        assert_eq!(pair("red-PE1", "red-PE2")["loss"], 0.0);
        let none = bench
            .get(&format!(
                "/api/v1/tasks/red/pairs?from={}&until={}",
                moment(0),
                moment(60)
            ))
            .json();
        assert_eq!(none["pairs"], json!([]));
    });
}

#[test]
fn the_slider_has_what_it_needs_from_both_databases() {
    on_both(|location| {
        demo::write(location, END_NS);
        let bench = bench(location, false);
        let of = |from: u64, until: u64, buckets: u32| {
            let path = format!(
                "/api/v1/mvpns/red/density?from={}&until={}&buckets={buckets}",
                moment(from),
                moment(until)
            );
            bench.get(&path).json()
        };
        let all = of(0, LENGTH_S, 6);
        assert_eq!(all["watches"].as_array().unwrap().len(), 2);
        let sums: Vec<u64> = all["buckets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b[0].as_u64().unwrap() + b[1].as_u64().unwrap())
            .collect();
        assert!(sums[0] > 0 && sums[1] > 0, "{sums:?}");
        assert_eq!(sums[2], 0, "nobody listened in the third hour");
        // However it is cut, as much changed as the list of changes has.
        let fine = of(0, LENGTH_S, 777);
        let counted = |density: &Value| -> u64 {
            density["buckets"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|b| b.as_array().unwrap())
                .map(|n| n.as_u64().unwrap())
                .sum()
        };
        assert_eq!(counted(&all), counted(&fine));
        let (mut halves, mut after) = (0, String::new());
        loop {
            let page = bench
                .get(&format!(
                    "/api/v1/mvpns/red/changes?from={}&until={}&limit=50{after}",
                    moment(0),
                    moment(LENGTH_S)
                ))
                .json();
            let changes = page["changes"].as_array().unwrap();
            assert!(changes.len() <= 50);
            let unwatched = |half: &Value| half["ended_by"] == "unwatched";
            halves += changes
                .iter()
                .flat_map(|c| [&c["before"], &c["after"]])
                .filter(|half| !half.is_null())
                .count() as u64;
            halves -= changes.iter().filter(|c| unwatched(&c["before"])).count() as u64;
            match page["next"].as_str() {
                Some(next) => {
                    after = format!(
                        "&after={}",
                        serde_urlencoded::to_string([("x", next)])
                            .unwrap()
                            .trim_start_matches("x=")
                    )
                }
                None => break,
            }
        }
        assert_eq!(halves, counted(&all));

        let step = |at: &str| {
            bench
                .get(&format!("/api/v1/mvpns/red/steps?at={at}"))
                .json()
        };
        // From the first to the last, over the pause, and back by the same way.
        let (mut way, mut at) = (vec![], moment(0));
        while let Some(next) = step(&at)["next"].as_str() {
            way.push(next.to_owned());
            at = next.to_owned();
        }
        assert_eq!(way.last(), Some(&moment(LENGTH_S - 600)));
        assert!(way.contains(&moment(DEAF_S.start)) && way.contains(&moment(DEAF_S.end)));
        for pair in way.windows(2).rev() {
            assert_eq!(step(&pair[1])["previous"], pair[0], "before {}", pair[1]);
        }
        assert_eq!(step(&moment(0))["previous"], Value::Null);
    });
}

#[test]
fn strangers_get_nothing() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, true);
    let mut paths = questions("red");
    paths.extend(
        [
            "/api/v1/mvpns",
            "/api/v1/tasks",
            "/api/v1/alarms",
            "/api/v1/events",
            "/metrics",
        ]
        .map(str::to_owned),
    );
    paths.push(format!("/api/v1/storms?from={}", moment(0)));
    for path in &paths {
        assert_eq!(bench.get(path).status, 401, "{path}");
        assert_eq!(bench.get_as("vmscope_0000", path).status, 401, "{path}");
        assert_eq!(
            bench.get_with(path, &[("Cookie", "vmscope=0000")]).status,
            401,
            "{path}"
        );
    }
    // What is part of the program is anybody's, and says nothing.
    for path in ["/", "/openapi.json", "/api/v1/session"] {
        let reply = bench.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert!(!reply.body.contains("blue"), "{path}");
        assert!(!reply.body.contains("acme"), "{path}");
    }
}

#[test]
fn a_customer_sees_their_own_and_nothing_of_others() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, true);
    let own = |path: &str| bench.get_as(&bench.red, path);
    assert_eq!(
        names(&own("/api/v1/mvpns").json()["mvpns"], "mvpn"),
        set(&["red"])
    );
    assert_eq!(
        names(&own("/api/v1/tasks").json()["tasks"], "task"),
        set(&["red"])
    );
    let everything = format!("/api/v1/alarms?from={}", moment(0));
    assert_eq!(
        names(&own(&everything).json()["alarms"], "mvpn"),
        set(&["red"])
    );
    assert_eq!(own("/api/v1/alarms?mvpn=blue").json()["alarms"], json!([]));
    let metrics = own("/metrics").body;
    assert!(
        metrics.contains("red") && !metrics.contains("blue") && !metrics.contains("web_requests"),
        "{metrics}"
    );
    assert_eq!(
        own(&format!("/api/v1/storms?from={}", moment(0))).status,
        403
    );
    for (mine, others, none) in questions("red")
        .into_iter()
        .zip(questions("blue"))
        .zip(questions("nil"))
        .map(|((a, b), c)| (a, b, c))
    {
        assert_eq!(own(&mine).status, 200, "{mine}");
        // What is somebody else's is as what there is not, to the letter.
        let (others, none) = (own(&others), own(&none));
        assert_eq!((others.status, none.status), (404, 404), "{mine}");
        assert_eq!(others.body.replace("blue", "nil"), none.body);
        assert_eq!(bench.get_as(&bench.noc, &mine).status, 200, "{mine}");
    }
    let provider = bench.get_as(&bench.noc, "/api/v1/mvpns").json();
    assert_eq!(names(&provider["mvpns"], "mvpn"), set(&["blue", "red"]));
}

#[test]
fn metrics_are_of_the_last_five_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::new(folder.path().join("now.sqlite"));
    demo::write(&location, vmscope_web::now().as_nanosecond() as i64);
    let bench = bench(&location, true);
    let all = bench.get_as(&bench.noc, "/metrics").body;
    for line in [
        "vmscope_mvpn_watched{mvpn=\"blue\"} 1",
        "vmscope_mvpn_pes_missing{mvpn=\"red\"} 1",
        "vmscope_mvpn_alarms{mvpn=\"red\",severity=\"critical\"} 1",
        "vmscope_pair_loss_ratios{task=\"red\",sender=\"red-PE1\",receiver=\"red-PE2\"} 0",
        "vmscope_pair_delay_mean_seconds{task=\"red\",sender=\"red-PE1\",receiver=\"red-PE2\"} 0.0112",
        "vmscope_web_requests_total",
    ] {
        assert!(all.contains(line), "{line} is not in {all}");
    }
    assert!(all.ends_with("# EOF\n"));
    let own = bench.get_as(&bench.red, "/metrics").body;
    assert!(
        own.contains("task=\"red\"") && !own.contains("blue"),
        "{own}"
    );
}

#[test]
fn a_browser_logs_in_and_out() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, true);
    let post = |body: &str, kind: &str| {
        let request = agent()
            .post(bench.url("/api/v1/session"))
            .header("Content-Type", kind);
        Reply::of(request.send(body).unwrap())
    };
    let good = json!({ "token": bench.red }).to_string();
    assert_eq!(
        post(&good, "text/plain").status,
        400,
        "as a form of another site could"
    );
    assert_eq!(
        post("{\"token\": \"vmscope_x\"}", "application/json").status,
        401
    );
    assert_eq!(post(&" ".repeat(10_000), "application/json").status, 400);
    let reply = post(&good, "application/json");
    assert_eq!(
        (reply.status, &reply.json()["label"]),
        (200, &json!("acme"))
    );
    let cookie = reply.header("set-cookie").unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    assert!(!cookie.contains(&bench.red));
    let session = cookie.split(';').next().unwrap();
    let look = || bench.get_with("/api/v1/mvpns", &[("Cookie", session)]);
    assert_eq!(names(&look().json()["mvpns"], "mvpn"), set(&["red"]));
    let out = agent()
        .delete(bench.url("/api/v1/session"))
        .header("Cookie", session)
        .call()
        .unwrap();
    assert_eq!(out.status(), 204);
    assert_eq!(look().status, 401);
}

#[test]
fn nonsense_is_refused_and_says_what_to_do() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    for path in [
        "/api/v1/mvpns/red?at=yesterday",
        "/api/v1/mvpns/red?when=now",
        "/api/v1/mvpns/red/states?limit=0",
        "/api/v1/mvpns/red/states?limit=5001",
        "/api/v1/mvpns/red/states?after=x",
        "/api/v1/mvpns/red/changes",
        "/api/v1/mvpns/red/changes?from=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z",
        "/api/v1/mvpns/red/density?from=2026-01-01T00:00:00Z&until=now",
        "/api/v1/mvpns/red/density?from=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z&buckets=100000",
        "/api/v1/mvpns/red/groups/all",
        "/api/v1/alarms?until=now",
    ] {
        let reply = bench.get(path);
        assert_eq!(reply.status, 400, "{path}: {}", reply.body);
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert!(!reply.json()["remedy"].as_str().unwrap().is_empty());
    }
    assert_eq!(bench.get("/api/v2/mvpns").status, 404);
    assert_eq!(bench.get("/api/v1/mvpns/%2e%2e%2f").status, 404);
    let posted = agent().post(bench.url("/api/v1/mvpns")).send("").unwrap();
    assert_eq!(posted.status(), 405);
}

#[test]
fn news_come_as_they_are_written_and_only_ones_own() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, true);
    let mut all = bench.events(Some(&bench.noc));
    let mut own = bench.events(Some(&bench.red));
    assert_eq!(all.next().unwrap().0, "hello");
    assert_eq!(own.next().unwrap().0, "hello");
    let began = END_NS - (LENGTH_S * 1_000_000_000) as i64;
    let story = Story::begin(&location, 43, began, LENGTH_S + 1);
    // The session before is over: of that there is news, too, and of blue first.
    story.watch("blue", LENGTH_S + 2);
    let blue = r#"{"name":"blue"}"#.to_owned();
    while all.next().unwrap() != ("state".to_owned(), blue.clone()) {}
    story.watch("red", LENGTH_S + 3);
    story.said("red", LENGTH_S + 4, demo::neighbor(11, 1));
    for _ in 0..2 {
        let (_, data) = own.next().unwrap();
        assert_eq!(data, r#"{"name":"red"}"#);
        story.said("red", LENGTH_S + 5, demo::neighbor(12, 1));
    }
    // Who is let in no longer hears nothing more.
    let mut tokens = Tokens::read(&bench.tokens).unwrap();
    tokens.revoke("acme").unwrap();
    tokens.write(&bench.tokens).unwrap();
    story.said("red", LENGTH_S + 6, demo::neighbor(13, 1));
    story.said("blue", LENGTH_S + 6, demo::neighbor(13, 1));
    let rest: Vec<_> = own.collect();
    assert!(
        rest.iter().all(|(_, data)| !data.contains("blue")),
        "{rest:?}"
    );
    story.stop();
}

#[test]
fn streams_are_bounded() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    let mut streams: Vec<_> = (0..64).map(|_| bench.events(None)).collect();
    for stream in &mut streams {
        assert_eq!(stream.next().unwrap().0, "hello");
    }
    let refused = bench.get("/api/v1/events");
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    drop(streams);
}

#[test]
fn every_answer_is_hardened_and_nothing_comes_from_elsewhere() {
    let (_folder, location) = demonstration();
    let bench = bench(&location, false);
    for path in [
        "/",
        "/assets/main.js",
        "/api/v1/mvpns",
        "/nothing",
        "/metrics",
    ] {
        let reply = bench.get(path);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert!(reply.header("cache-control").is_some());
        assert!(!reply.body.contains("https://"), "{path}");
    }
    let first = bench.get("/assets/style.css");
    let tag = first.header("etag").unwrap();
    assert_eq!(
        bench
            .get_with("/assets/style.css", &[("If-None-Match", tag)])
            .status,
        304
    );
    assert_eq!(
        bench
            .get_with("/assets/style.css", &[("If-None-Match", "\"x\"")])
            .status,
        200
    );
}

#[test]
fn without_tokens_only_names_of_this_host_are_answered() {
    let (_folder, location) = demonstration();
    let open = bench(&location, false);
    let rebound = open.get_with("/api/v1/mvpns", &[("Host", "evil.example")]);
    assert_eq!(rebound.status, 421);
    assert_eq!(
        open.get_with("/api/v1/mvpns", &[("Host", "localhost:1")])
            .status,
        200
    );
    let closed = bench(&location, true);
    let bearer = format!("Bearer {}", closed.noc);
    let reply = closed.get_with(
        "/api/v1/mvpns",
        &[("Host", "vmscope.example"), ("Authorization", &bearer)],
    );
    assert_eq!(reply.status, 200);
}

#[test]
fn beyond_this_host_nothing_is_served_without_tls_and_tokens() {
    let (folder, location) = demonstration();
    let refused = |listen: &str, tokens: bool| {
        let settings = Settings {
            database: location.clone(),
            listen: listen.parse().unwrap(),
            tls: None,
            tokens: tokens.then(|| folder.path().join("tokens.toml")),
        };
        settings.check().unwrap_err().to_string()
    };
    assert!(refused("0.0.0.0:0", false).contains("TLS and tokens"));
    assert!(refused("[::]:0", true).contains("without TLS:"));
    assert!(refused("192.0.2.1:443", false).contains("--tls-certificate"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let settings = Settings {
        database: Location::new(folder.path().join("none.sqlite")),
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        tokens: None,
    };
    let missing = runtime
        .block_on(Server::bind(settings.clone()))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(missing, ServeError::Database(_)), "{missing}");
    let exposed = Settings {
        listen: ([0, 0, 0, 0], 0).into(),
        database: location,
        ..settings
    };
    let refused = runtime
        .block_on(Server::bind(exposed))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, ServeError::Exposed { .. }), "{refused}");
}

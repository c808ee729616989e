//! The control contract as clients see it: JSON lines.

use vmscope_core::control::*;

#[test]
fn requests_read_back() {
    let request = Request::read(r#"{"id":7,"request":{"op":"task-start","name":"x","group":"239.1.1.1","senders":["a"],"receivers":["b"],"probes":{"rate":"2.5pps"}}}"#).unwrap();
    assert_eq!(request.id, 7);
    let Operation::TaskStart(spec) = &request.operation else {
        panic!("{request:?}")
    };
    assert_eq!(spec.probes.rate.as_millipps(), 2500);
    let line = serde_json::to_string(&request).unwrap();
    assert_eq!(Request::read(&line).unwrap(), request);
}

#[test]
fn every_plain_operation_round_trips() {
    for op in [
        "hello",
        "status",
        "tunnel-list",
        "group-list",
        "task-list",
        "mvpn-list",
        "passive-list",
        "oneway-list",
        "peer-list",
        "agent-list",
        "overhead",
        "filter",
        "shutdown",
        "subscribe",
    ] {
        let request = Request::read(&format!(
            r#"{{"request":{{"op":"{op}"}},"id":18446744073709551615}}"#
        ))
        .unwrap();
        assert_eq!(request.id, u64::MAX);
        assert_eq!(
            Request::read(&serde_json::to_string(&request).unwrap()).unwrap(),
            request
        );
    }
}

#[test]
fn mistakes_are_refused_and_keep_their_id() {
    for (line, id) in [
        ("", 0),
        ("{}", 0),
        (r#"{"id":3,"request":{"op":"fly"}}"#, 3),
        (r#"{"id":4,"request":{"op":"tunnel-show"}}"#, 4),
        (
            r#"{"id":5,"request":{"op":"tunnel-show","name":"a","colour":"red"}}"#,
            5,
        ),
        (r#"{"id":6,"request":{"op":"tunnel-show","name":"a b"}}"#, 6),
        (
            r#"{"id":8,"request":{"op":"group-join","tunnel":"a","group":"239.1.1"}}"#,
            8,
        ),
    ] {
        let reply = Request::read(line).unwrap_err();
        assert_eq!(reply.id, id, "{line}");
        let Outcome::Error(refusal) = reply.outcome else {
            panic!("{line} was accepted")
        };
        assert_eq!(refusal.code, ErrorCode::Malformed);
    }
}

/// As people write it in the configuration file, and as it is asked for: one shape.
#[test]
fn one_way_measurements_are_read_from_a_file_and_from_the_socket() {
    let toml = r#"
        [[peer]]
        name = "m2"
        address = "192.0.2.2:8471"
        certificate = "m2.pem"
        token_file = "m2.token"
        clock_error = "1ms"
        [[oneway]]
        name = "x"
        up = "pe1"
        down = ["pe1b"]
        group = "239.7.7.7"
        until = { relative = "10%" }
        probes = { rate = "500pps" }
        [[oneway.leaf]]
        kind = "collector"
        peer = "m2"
        tunnel = "pe1"
        [[oneway.leaf]]
        kind = "counters"
        agent = "p1"
        counter = { of = "interface", interface = "eth1" }
        aggregate = 50
    "#;
    let config = vmscope_core::config::Config::from_toml(toml).unwrap();
    let request = Request {
        id: 1,
        operation: Operation::OnewayStart(Box::new(config.oneway[0].clone())),
    };
    let line = serde_json::to_string(&request).unwrap();
    assert_eq!(Request::read(&line).unwrap(), request);
    let least = r#"{"id":1,"request":{"op":"oneway-start","name":"x","up":"a","down":["b"],"group":"239.7.7.7","until":{"absolute":"0.01%"},"leaf":[{"kind":"reflector","peer":"m2","tunnel":"c"}]}}"#;
    let Operation::OnewayStart(spec) = Request::read(least).unwrap().operation else {
        panic!()
    };
    let until = spec
        .until
        .map(|until| serde_json::to_string(&until).unwrap());
    assert_eq!(until.as_deref(), Some(r#"{"absolute":"0.01%"}"#));
    for wrong in [
        least.replace("reflector", "mirror"),
        least.replace("0.01%", "0.01"),
        least.replace(r#""peer":"m2","#, r#""peer":"m2","pear":"m2","#),
    ] {
        assert!(Request::read(&wrong).is_err(), "{wrong}");
    }
}

/// What is misspelt must not be taken for left out.
#[test]
fn unknown_fields_are_refused_everywhere() {
    for fields in [
        r#""op":"results","name":"a","sinse":3"#,
        r#""op":"subscribe","event":["task"]"#,
        r#""op":"task-start","name":"a","group":"239.1.1.1","senders":[],"receivers":[],"probes":{"rte":"1pps"}"#,
    ] {
        let line = format!(r#"{{"id":1,"request":{{{fields}}}}}"#);
        assert!(Request::read(&line).is_err(), "{line}");
    }
    assert!(Request::read(r#"{"id":1,"request":{"op":"status"},"x":1}"#).is_err());
}

#[test]
fn replies_and_events_are_told_apart() {
    let reply = Reply {
        id: 1,
        outcome: Outcome::Ok(Answer::Done),
    };
    let text = serde_json::to_string(&reply).unwrap();
    assert_eq!(text, r#"{"id":1,"ok":{"kind":"done"}}"#);
    assert_eq!(
        serde_json::from_str::<ServerLine>(&text).unwrap(),
        ServerLine::Reply(Box::new(reply))
    );
    let refusal = Refusal::new(
        ErrorCode::NotFound,
        "there is no tunnel t9",
        "see tunnel-list",
    );
    let text = serde_json::to_string(&Reply {
        id: 2,
        outcome: Outcome::Error(refusal),
    })
    .unwrap();
    assert_eq!(
        text,
        r#"{"id":2,"error":{"code":"not-found","message":"there is no tunnel t9","remedy":"see tunnel-list"}}"#
    );
    let event: ServerLine = serde_json::from_str(r#"{"event":"shutdown"}"#).unwrap();
    assert_eq!(event, ServerLine::Event(Box::new(Event::Shutdown)));
}

use super::*;

const RED: &str = r#"
    mvpn = "red"
    pes = { PE1 = "10.2.0.2", PE9 = { address = "10.2.0.9", presence = "optional", tunnel = "t9" } }
    groups = ["239.1.0.0/16", "232.1.1.1"]
    sources = { "232.1.1.1" = ["10.11.0.5"], "239.1.0.0/16" = ["10.11.0.0/16"] }
    sites = { PE1 = { send = ["239.1.0.0/16"] }, PE9 = { send = [], receive = ["239.1.0.0/16"] } }
    data_mdt = { pool = ["239.200.0.0/24"], groups = ["239.1.0.0/16"] }
"#;

fn read(text: &str) -> Expected {
    toml::from_str(text).unwrap()
}

fn refusal(from: &str, to: &str) -> String {
    assert!(RED.contains(from), "{from}");
    read(&RED.replace(from, to))
        .validate()
        .unwrap_err()
        .to_string()
}

#[test]
fn it_reads_back_as_written_in_toml_and_json() {
    let red = read(RED);
    assert_eq!(red.validate(), Ok(()));
    assert_eq!(read(&toml::to_string(&red).unwrap()), red);
    let json = serde_json::to_string(&red).unwrap();
    assert_eq!(serde_json::from_str::<Expected>(&json).unwrap(), red);
    let pes = red.pes.unwrap();
    assert_eq!(pes["PE1"], Pe::required([10, 2, 0, 2].into()));
    assert_eq!(pes["PE9"].presence, Presence::Optional);
}

#[test]
fn a_name_alone_expects_nothing() {
    assert_eq!(read("mvpn = 'red'").validate(), Ok(()));
}

#[test]
fn a_misspelt_field_is_named() {
    for (from, to) in [
        ("pes =", "pe ="),
        ("presence", "present"),
        ("send = []", "sends = []"),
    ] {
        let error = toml::from_str::<Expected>(&RED.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
    }
    let error = toml::from_str::<Expected>(&RED.replace("10.2.0.2", "pe1.net")).unwrap_err();
    assert!(
        error.to_string().contains("\"pe1.net\" is no IPv4 address"),
        "{error}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_the_remedy() {
    insta::assert_snapshot!(refusal("10.2.0.2", "10.2.0.9"), @"cannot expect this of MVPN red: PEs PE1 and PE9 have the same address 10.2.0.9; correct one, or leave it out");
    insta::assert_snapshot!(refusal("10.2.0.2", "239.2.0.2"), @"cannot expect this of MVPN red: 239.2.0.2 cannot be the address of PE PE1; write the source address of its packets on the MDT");
    insta::assert_snapshot!(refusal("\"232.1.1.1\"]", "\"10.1.1.1\"]"), @"cannot expect this of MVPN red: `groups` names 10.1.1.1, which is no multicast group; write groups of 224.0.0.0/4 or ff00::/8");
    insta::assert_snapshot!(refusal("\"232.1.1.1\" =", "\"232.1.1.2\" ="), @"cannot expect this of MVPN red: `sources` names 232.1.1.2, which `groups` does not allow; add it to `groups`, or leave it out");
    insta::assert_snapshot!(refusal("10.11.0.5", "239.11.0.5"), @r#"cannot expect this of MVPN red: 239.11.0.5, a source of 232.1.1.1, is a group; write as "GROUP" = ["SOURCE"]"#);
    insta::assert_snapshot!(refusal("10.11.0.5", "fd00::5"), @"cannot expect this of MVPN red: fd00::5 cannot be a source of 232.1.1.1: one is IPv4, one IPv6; write sources of the group's own family");
    insta::assert_snapshot!(refusal("sites = { PE1", "sites = { PE2"), @"cannot expect this of MVPN red: `sites` names PE2, and there is no such PE in `pes`; add the PE with its address to `pes`");
    insta::assert_snapshot!(refusal("239.200.0.0/24", "ff3e::/32"), @"cannot expect this of MVPN red: ff3e::/32 cannot be in the pool: data MDTs are IPv4 here; write groups of the backbone, such as 239.200.0.0/24");
    insta::assert_snapshot!(refusal("239.200.0.0/24", "224.0.0.0/3"), @"cannot expect this of MVPN red: `data_mdt.pool` names 224.0.0.0/3, which is no multicast group; write groups of 224.0.0.0/4 or ff00::/8");
}

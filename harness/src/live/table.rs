//! Rows for people: what `show` and `ls` print.

use comfy_table::{ContentArrangement, Table as Grid, TableStyle};
use serde_json::Value;

use super::request::Table;

/// Columns of a table in their order: heading, and the field of a row.
pub type Columns = &'static [(&'static str, &'static str)];

/// Of `ls`.
pub const LABS: Columns = &[
    ("LAB", "name"),
    ("PLACE", "place"),
    ("UP [s]", "up_s"),
    ("KEEPER", "keeper"),
    ("SCENARIO", "scenario"),
];

/// Of `show`.
pub fn columns(table: Table) -> Columns {
    match table {
        Table::Routes => &[
            ("NODE", "node"),
            ("TO", "to"),
            ("VIA", "via"),
            ("INTERFACE", "interface"),
            ("FROM", "protocol"),
            ("METRIC", "metric"),
        ],
        Table::Mroutes => &[
            ("NODE", "node"),
            ("SOURCE", "source"),
            ("GROUP", "group"),
            ("INCOMING", "incoming"),
            ("OUTGOING", "outgoing"),
            ("PACKETS", "packets"),
            ("WRONG IF", "wrong_interface"),
        ],
        Table::Neighbors => &[
            ("NODE", "node"),
            ("PROTOCOL", "protocol"),
            ("INTERFACE", "interface"),
            ("NEIGHBOR", "neighbor"),
            ("STATE", "state"),
        ],
        Table::Igmp => &[
            ("NODE", "node"),
            ("INTERFACE", "interface"),
            ("GROUP", "group"),
            ("SOURCE", "source"),
            ("MODE", "mode"),
            ("SINCE", "since"),
        ],
        Table::Tunnels => &[
            ("TUNNEL", "tunnel"),
            ("NODE", "node"),
            ("STATE", "state"),
            ("ROUTER", "router"),
            ("MONITOR", "monitor"),
            ("PROBES FROM", "probes_from"),
            ("KEY", "key"),
            ("IMPAIRMENT", "impairment"),
            ("SENT", "sent"),
            ("DROPPED", "dropped"),
        ],
        Table::Links => &[
            ("LINK", "link"),
            ("TOWARD", "toward"),
            ("STATE", "state"),
            ("ADDRESS", "address"),
            ("IMPAIRMENT", "impairment"),
            ("SENT", "sent"),
            ("DROPPED", "dropped"),
            ("WAITING", "waiting"),
        ],
        Table::Mdts => &[
            ("NODE", "node"),
            ("P-GROUP", "p_group"),
            ("ROLE", "role"),
            ("C-SOURCE", "c_source"),
            ("C-GROUP", "c_group"),
        ],
    }
}

/// Rows as a table, as wide as they are.
pub fn render(columns: Columns, rows: &[Value]) -> String {
    let mut grid = Grid::new();
    grid.load_style(TableStyle::new());
    grid.set_content_arrangement(ContentArrangement::Disabled);
    grid.set_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        grid.add_row(columns.iter().map(|(_, field)| cell(&row[*field])));
    }
    for column in grid.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = grid.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_stand_in_columns() {
        let rows = [
            json!({ "node": "PE1", "source": "*", "group": "239.1.1.1", "incoming": "to-P", "outgoing": ["vrf-red", "tun-a"], "packets": 1234, "wrong_interface": 0 }),
            json!({ "node": "PE1.red", "source": "192.168.1.2", "group": "239.9.9.9", "incoming": "mdt", "outgoing": [], "packets": 7, "wrong_interface": 3 }),
        ];
        insta::assert_snapshot!(render(columns(Table::Mroutes), &rows));
    }
}

//! Columns side by side, as wide as what is in them.

/// Where a cell stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells, and behind each row whatever there is to say.
pub struct Columns {
    align: Vec<Align>,
    rows: Vec<Line>,
}

enum Line {
    Cells(Vec<String>, String),
    Words(String),
}

impl Columns {
    /// With a heading.
    pub fn new(head: &[&str], align: &[Align]) -> Self {
        let mut this = Self {
            align: align.to_vec(),
            rows: Vec::new(),
        };
        this.row(head.iter().map(|cell| (*cell).to_owned()), "");
        this
    }

    /// One row; cells at its end may be left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>, remark: &str) {
        self.rows
            .push(Line::Cells(cells.into_iter().collect(), remark.to_owned()));
    }

    /// A line of its own, in no column.
    pub fn words(&mut self, words: String) {
        self.rows.push(Line::Words(words));
    }

    /// All rows, one a line. Columns in which nothing stands are left out.
    pub fn render(&self) -> String {
        let cells = |line: &Line| match line {
            Line::Cells(cells, _) => cells.iter().map(|cell| cell.chars().count()).collect(),
            Line::Words(_) => Vec::new(),
        };
        let used: Vec<Vec<usize>> = self.rows.iter().skip(1).map(cells).collect();
        let head: Vec<usize> = self.rows.first().map(cells).unwrap_or_default();
        let width = |column: usize| {
            let widest = used.iter().filter_map(|row| row.get(column)).max();
            let empty = widest.is_none_or(|width| *width == 0);
            let head = head.get(column).copied().unwrap_or(0);
            if empty {
                0
            } else {
                head.max(widest.copied().unwrap_or(0))
            }
        };
        let widths: Vec<usize> = (0..self.align.len()).map(width).collect();
        let lines = self.rows.iter().map(|line| match line {
            Line::Cells(cells, remark) => self.line(&widths, cells, remark),
            Line::Words(words) => words.clone(),
        });
        lines.map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn line(&self, widths: &[usize], cells: &[String], remark: &str) -> String {
        let shown = |column: usize| {
            let cell = cells.get(column).map_or("", String::as_str);
            let padding = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            match self.align[column] {
                Align::Left => format!("{cell}{padding}"),
                Align::Right => format!("{padding}{cell}"),
            }
        };
        let shown = (0..widths.len()).filter(|at| widths[*at] > 0).map(shown);
        let cells: Vec<String> = shown.collect();
        format!("{}  {remark}", cells.join("  "))
    }
}

//! A report for people: one self-contained HTML file without script. Knows nothing of packets, so any
//! benchmark can be shown on it.

mod table;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
pub use table::{Align, Column, Table};

use crate::plot::{Plot, escape};

/// The whole page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// The heading.
    pub title: String,
    /// Below the heading: when, where, with what.
    #[serde(default)]
    pub subtitle: String,
    /// From top to bottom.
    pub sections: Vec<Section>,
}

/// One part of a page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Whether what it shows is as it should be.
    pub state: State,
    /// Sentences above tables and plots.
    pub notes: Vec<String>,
    /// Tables, one below the other.
    pub tables: Vec<Table>,
    /// Plots, side by side where the page is wide enough.
    pub plots: Vec<Plot>,
    /// Sentences as a list, below everything.
    pub points: Vec<String>,
}

/// Whether what a section shows is as it should be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Something is wrong.
    Bad,
    /// All is well.
    Good,
    /// Neither.
    #[default]
    Neutral,
    /// Not wrong, but to be known.
    Warning,
}

impl Page {
    /// The file.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
        );
        if !self.subtitle.is_empty() {
            writeln!(html, "<p>{}</p>", escape(&self.subtitle)).unwrap_or_default();
        }
        html.push_str("</header>\n<main>\n");
        self.sections.iter().for_each(|section| section.html(&mut html));
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }
}

impl Section {
    fn html(&self, html: &mut String) {
        let state = match self.state {
            State::Bad => "bad",
            State::Good => "good",
            State::Neutral => "neutral",
            State::Warning => "warning",
        };
        let mut line = |text: String| html.push_str(&(text + "\n"));
        line(format!("<section class=\"{state}\">\n<h2>{}</h2>", escape(&self.title)));
        self.notes.iter().for_each(|note| line(format!("<p>{}</p>", escape(note))));
        self.tables.iter().for_each(|table| line(table.html()));
        if !self.plots.is_empty() {
            line(format!("<div class=\"plots p{}\">", self.plots.len().min(2)));
            for plot in &self.plots {
                let title = escape(&plot.title);
                line(format!(
                    "<figure>\n<figcaption>{title}</figcaption>\n{}\n</figure>",
                    plot.svg()
                ));
            }
            line("</div>".to_owned());
        }
        if !self.points.is_empty() {
            let items = self.points.iter().map(|point| format!("<li>{}</li>", escape(point)));
            line(format!("<ul>{}</ul>", items.collect::<String>()));
        }
        line("</section>".to_owned());
    }
}

const STYLE: &str = include_str!("page/style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_file_without_script_or_links() {
        let section = Section {
            title: "A <b>".to_owned(),
            state: State::Good,
            notes: vec!["x & y".to_owned()],
            tables: vec![Table::facts([("cpu", "a \"fast\" one".to_owned())])],
            plots: vec![Plot::default()],
            points: vec!["first".to_owned()],
        };
        let page =
            Page { title: "T".to_owned(), subtitle: "S".to_owned(), sections: vec![section] };
        let html = page.html();
        for part in
            ["<h2>A &lt;b&gt;</h2>", "x &amp; y", "a &quot;fast&quot; one", "<li>first</li>"]
        {
            assert!(html.contains(part), "{part}");
        }
        for part in ["<script", "<link", "http", "<img", "url(", "@import"] {
            assert!(!html.contains(part), "{part}");
        }
        let json = serde_json::to_string(&page).unwrap();
        assert_eq!(serde_json::from_str::<Page>(&json).unwrap(), page);
    }
}

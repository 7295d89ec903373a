//! Tables in documents that repeat what the code says. They are between two comments, `<!-- table: NAME -->` and `<!--
//! end of table -->`; with `UPDATE_DOCUMENTS` in the environment the test writes them.

use ocibake::settings::VARIABLES;
use serde_json::Value;

use super::documents;
use crate::harness::{clone, Tool};

const END: &str = "<!-- end of table -->";

/// The table from the code.
fn table(name: &str) -> String {
    match name {
        "commands" => commands(),
        "settings" => settings(),
        "rules" => rules(),
        "verdicts" => verdicts(),
        _ => panic!("no table is called {name}"),
    }
}

fn commands() -> String {
    let help = Tool::new("--help").run().stdout();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let rows = listed.filter_map(|line| line.trim().split_once(' ')).filter(|(verb, _)| *verb != "help");
    rows.fold("| command | what it does |\n|---|---|\n".to_owned(), |table, (verb, about)| {
        table + &format!("| `{verb}` | {} |\n", about.trim())
    })
}

fn settings() -> String {
    let mut table = "| variable | flag | meaning |\n|---|---|---|\n".to_owned();
    for variable in VARIABLES {
        let flag = variable.flag.map(|flag| format!("`{flag}`")).unwrap_or_default();
        let meaning = variable.meaning.replace('|', "\\|");
        table += &format!("| `{}` | {flag} | {meaning} |\n", variable.name);
    }
    table
}

fn rules() -> String {
    let mut table = "| rule | | what holds | source |\n|---|---|---|---|\n".to_owned();
    for rule in Tool::new("verify").args(["--rules", "--json"]).run().json().as_array().unwrap() {
        let of = |member: &str| rule[member].as_str().map(|text| text.replace('|', "\\|")).unwrap();
        assert!(matches!(rule["severity"], Value::String(_)));
        table += &format!("| `{}` | {} | {} | {} |\n", of("rule"), of("severity"), of("meaning"), of("source"));
    }
    table
}

fn verdicts() -> String {
    let depths = ["documents", "index", "blobs", "compression", "files"];
    let verbs = ["`inspect` `config`", "`index`", "`convert`", "`convert --compression`", "`unpack` and others"];
    let mut table = format!("| rule | {} |\n|---|{}\n", verbs.join(" | "), "---|".repeat(verbs.len()));
    for rule in Tool::new("verify").args(["--rules", "--json"]).run().json().as_array().unwrap() {
        let of = |depth: &str| rule["verdicts"][depth].as_str().map(|text| text.replace("takes", "")).unwrap();
        table += &format!("| `{}` | {} |\n", rule["rule"].as_str().unwrap(), depths.map(of).join(" | "));
    }
    table
}

#[test]
fn tables_say_what_the_code_says() {
    let is_update = std::env::var_os("UPDATE_DOCUMENTS").is_some();
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for (name, document) in documents() {
        let mut right = String::new();
        let mut rest = document.as_str();
        while let Some((before, after)) = rest.split_once("\n<!-- table: ") {
            let (which, after) = after.split_once(" -->\n").expect("a table has a name");
            let (_, after) = after.split_once(END).expect("a table has an end");
            right += &format!("{before}\n<!-- table: {which} -->\n{}{END}", table(which));
            found.push(which.to_owned());
            rest = after;
        }
        right += rest;
        if right != document {
            wrong.push(name.clone());
            if is_update {
                std::fs::write(clone().join(name), right).unwrap();
            }
        }
    }
    for which in ["commands", "settings", "rules", "verdicts"] {
        assert!(found.iter().any(|found| found == which), "no document has the table {which}");
    }
    assert!(
        wrong.is_empty() || is_update,
        "UPDATE_DOCUMENTS=1 cargo test --test it documents::tables writes the tables of {wrong:?}"
    );
}

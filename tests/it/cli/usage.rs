//! Help, exit codes and settings, without a database.

use super::{Home, run};

#[test]
fn help_is_data_and_a_wrong_use_is_one_line_and_a_2() {
    let home = Home::new();
    for command in [&["--help"][..], &["import", "areas", "--help"], &["audit", "verify", "--help"]] {
        let help = run(&home, &[], command).ok();
        assert!(help.contains("Example") && help.contains("salur "), "{help}");
    }
    assert!(run(&home, &[], &["--version"]).ok().starts_with("salur "));
    assert_eq!(run(&home, &[], &[]).code, 2);
    run(&home, &[], &["impotr"]).fails(2, "salur --help");
    run(&home, &[], &["import", "areas"]).fails(2, "see `salur import areas --help`");
    run(&home, &[], &["import", "areas", "a.csv", "--level", "street"]).fails(2, "--level");
    run(&home, &[], &["import", "areas", "a.csv", "--map", "x"]).fails(2, "FIELD=COLUMN");
    run(&home, &[], &["key", "issue", "--email", "a@b.example", "--expires-days", "0"]).fails(2, "--expires-days");
    assert!(!home.path("salur.db").exists(), "a wrong use makes no database");
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let home = Home::new();
    let demo = |url: &str| run(&home, &[], &["demo", "--database", url]);
    demo("mysql://h/d").fails(2, "must start with sqlite:// or postgres://");
    demo("sqlite://no/such/dir/a.db").fails(1, "sqlite://no/such/dir/a.db cannot be opened");
    let url = "postgres://u:secret@127.0.0.1:1/d";
    let refused = demo(url);
    assert!(!refused.err.contains("secret"), "{refused:?}");
    refused.fails(1, "postgres://u@127.0.0.1:1/d cannot be opened");
}

#[test]
fn settings_come_from_flags_before_the_environment_before_the_file() {
    let home = Home::new();
    home.write("salur.toml", "database = \"sqlite://file.db\"\n");
    let add = |environment: &[(&str, &str)], name: &str, more: &[&str]| {
        let mut arguments = vec!["organization", "add", "--category", "BUSINESS", "--name", name];
        arguments.extend(more);
        run(&home, environment, &arguments).ok()
    };
    add(&[], "A", &[]);
    assert!(home.path("file.db").exists());
    add(&[("SALUR_DATABASE", "sqlite://env.db")], "A", &[]);
    assert!(home.path("env.db").exists());
    add(&[("SALUR_DATABASE", "sqlite://env.db")], "A", &["--database", "sqlite://flag.db"]);
    assert!(home.path("flag.db").exists());
    home.write("salur.toml", "databse = \"x\"\n");
    run(&home, &[], &["demo"]).fails(2, "salur.toml: unknown field");
}

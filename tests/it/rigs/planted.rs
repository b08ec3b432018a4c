//! Planted bugs are in builds that are made for them, and in no other. That the rigs catch them all is
//! shown by `make torture plant=all`.

/// The names of the bugs, in the source's order.
fn names() -> Vec<&'static str> {
    let source = include_str!("../../../src/planted.rs");
    let (_, list) = source.split_once("\nbugs! {").expect("the source lists the bugs");
    let (list, _) = list.split_once("\n}").expect("the list ends");
    list.lines().filter_map(|line| line.trim().strip_suffix(',')).filter(|name| !name.starts_with('/')).collect()
}

#[cfg(not(feature = "planted"))]
#[test]
fn the_program_holds_no_planted_bug_and_does_not_know_the_variable() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_salur")).expect("the program is there");
    let program = String::from_utf8_lossy(&program);
    assert!(program.contains("SALUR_DATABASE"), "the name of a variable that it knows is found in it");
    assert!(!program.contains("SALUR_PLANT"));
    assert!(names().len() >= 15);
    let held: Vec<_> = names().into_iter().filter(|name| program.contains(name)).collect();
    assert!(held.is_empty(), "{held:?} are in the program");
}

#[test]
fn every_planted_bug_has_rigs_that_shall_catch_it() {
    let script = include_str!("../../../scripts/torture.sh");
    let (_, table) = script.split_once("\nplants='\n").expect("the script has a table");
    let (table, _) = table.split_once("\n'").expect("the table ends");
    let rows: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(rows, names());
}

//! The page's files are built into the program, so it is built anew when they have changed.

fn main() {
    // Watching a directory that is not there would build everything anew each time.
    let _ = std::fs::create_dir_all("web/dist");
    println!("cargo:rerun-if-changed=web/dist");
}

//! What the tests stand on: a database of their own, a small world in it, dice, and the books.

pub mod actors;
pub mod app;
pub mod books;
pub mod database;
pub mod dice;
pub mod how_far;
pub mod node;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod road;
pub mod sdl;
pub mod world;

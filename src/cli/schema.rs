//! `salur schema`

use super::outcome::{Failure, show};
use clap::Args;

/// Print the GraphQL schema
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  salur schema > schema.graphql")]
pub struct Schema {}

impl Schema {
    pub fn run(self) -> Result<(), Failure> {
        show(crate::graphql::sdl().trim_end())
    }
}

//! `salur schema`

use super::outcome::{Failure, show};
use clap::Args;

/// Print the GraphQL schema
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  salur schema > schema.graphql
  salur schema --rights > docs/rights.md")]
pub struct Schema {
    /// Print who may do what instead, as a table in Markdown
    #[arg(long)]
    rights: bool,
}

impl Schema {
    pub fn run(self) -> Result<(), Failure> {
        if self.rights {
            return show(crate::service::access::markdown().trim_end());
        }
        show(crate::graphql::sdl().trim_end())
    }
}

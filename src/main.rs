//! The command line. The only place that exits.

#![forbid(unsafe_code)]

fn main(){}

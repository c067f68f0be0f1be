//! `kubectl sumsq check`: the linter with a DataSource of the cluster in place of a manifest.

use std::process::ExitCode;

use super::cluster::Cluster;
use super::failure::{Failure, Result};
use super::names;
use crate::args::plugin::{CheckAgainstArgs, FileFormat};
use crate::check::{self, Printed};
use crate::validate::{self, Defaults};

pub(super) async fn run(cluster: &Cluster, args: &CheckAgainstArgs) -> Result<ExitCode> {
    let name = names::of_data_source(&args.data_source)?;
    let source = names::data_source(cluster, name).await?;
    // The zone of a schedule changes nothing of how a file is read.
    let defaults = Defaults {
        default_time_zone: "UTC".to_owned(),
    };
    match validate::data_source(&source, "", &defaults) {
        Ok(source) => Ok(check::against(&args.file, &source, printed(args.output)).await),
        Err(problems) => Err(Failure::usage(format!(
            "error: DataSource {name}: {}",
            validate::sentences(&problems)
        ))),
    }
}

fn printed(format: Option<FileFormat>) -> Printed {
    match format {
        None | Some(FileFormat::Wide) => Printed::Text,
        Some(FileFormat::Json) => Printed::Json,
        Some(FileFormat::Yaml) => Printed::Yaml,
    }
}

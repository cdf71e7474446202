//! `keywire crds`: the custom resource definitions of this version.

use std::{fs, io, path::PathBuf};

use clap::Args as ClapArgs;
use kube::ResourceExt;

use crate::api;

/// Arguments of `keywire crds`.
#[derive(ClapArgs)]
#[command(after_help = "Examples:
  keywire crds | kubectl apply --server-side -f -
  keywire crds --dir crds")]
pub struct Args {
    /// Write one file per kind into this folder, not all of them to standard output.
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Why the definitions could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition has no YAML form.
    #[error("cannot write the definition of {0} as YAML: {1}")]
    Yaml(String, String),
    /// The folder or a file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes the definitions.
pub fn run(args: &Args) -> Result<(), Error> {
    for crd in api::crds() {
        let yaml = api::to_yaml(&crd).map_err(|error| Error::Yaml(crd.name_any(), error.to_string()))?;
        match &args.dir {
            None => println!("---\n{yaml}"),
            Some(dir) => {
                fs::create_dir_all(dir).map_err(|source| Error::Write { path: dir.clone(), source })?;
                let path = dir.join(format!("{}.yaml", crd.spec.names.plural));
                fs::write(&path, yaml).map_err(|source| Error::Write { path, source })?;
            }
        }
    }
    Ok(())
}

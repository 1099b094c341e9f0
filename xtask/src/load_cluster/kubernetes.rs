//! The files for Kubernetes: the job is valid by its schema, and does what docs/load.md says.

use std::error::Error;
use std::fs;
use std::process::Command;

use super::{Ended, Missing};
use crate::evidence;

/// # Errors
/// Where the job is not valid, or a file is not as it should be.
pub(super) fn validate() -> Result<Ended, Box<dyn Error>> {
    let folder = evidence::root().join("docs/load");
    let job = fs::read_to_string(folder.join("job.yaml"))?;
    for needed in
        ["completionMode: Indexed", "completions: 4", "parallelism: 4", "backoffLimit: 0", "restartPolicy: Never"]
    {
        if !job.contains(needed) {
            return Err(format!("job.yaml does not say {needed}").into());
        }
    }
    let Ok(validated) = Command::new("kubernetes-validate").arg("--strict").arg(folder.join("job.yaml")).output()
    else {
        let what = "kubernetes-validate is missing".into();
        return Ok(Ended::LeftOut(Missing { what, install: "pip install kubernetes-validate" }));
    };
    let printed = [&validated.stdout[..], &validated.stderr].map(String::from_utf8_lossy).concat();
    match validated.status.success() {
        true => Ok(Ended::Well(format!("{}; it was not run", printed.trim()))),
        false => Err(printed.into()),
    }
}

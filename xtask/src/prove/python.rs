//! Python with the packages that the proof needs, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{folder, read_json};
use crate::evidence::{self, Done};

/// The exit status of `prove.py` if a claim does not hold, or not yet for all layouts.
const NOT_HELD: i32 = 3;

/// A Python that has the packages of `xtask/prove/requirements.txt`.
#[derive(Debug)]
pub(crate) struct Python {
    program: PathBuf,
    scripts: PathBuf,
}

impl Python {
    /// Installs the packages in a virtual environment, unless it was done before.
    pub(crate) fn with_packages() -> Done<Python> {
        let scripts = evidence::root().join("xtask/prove");
        let environment = folder().join("python");
        let program = environment.join("bin/python");
        let wanted = fs::read_to_string(scripts.join("requirements.txt"))?;
        // Written last: what an interrupted installation left is not used.
        let stamp = environment.join("installed.txt");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            install(&environment, &program, &scripts.join("requirements.txt"))?;
            fs::write(stamp, wanted)?;
        }
        Ok(Python { program, scripts })
    }

    /// Proves the claims about a built shim, and writes what was found to a file of this name: whether all hold, and
    /// what was found.
    pub(crate) fn prove(&self, library: &Path, found: &str, options: &[String]) -> Done<(bool, Value)> {
        let figures = folder().join(found);
        let mut command = Command::new(&self.program);
        // The code that is proved about is no reason to write below xtask/.
        command.env("PYTHONDONTWRITEBYTECODE", "1").arg(self.scripts.join("prove.py"));
        command.arg("--library").arg(library).arg("--figures").arg(&figures).args(options);
        match command.status()?.code() {
            Some(0) => Ok((true, read_json(&figures)?)),
            Some(NOT_HELD) => Ok((false, read_json(&figures)?)),
            _ => Err("the proof ended by an error of its own".into()),
        }
    }
}

fn install(environment: &Path, program: &Path, requirements: &Path) -> Done<()> {
    let is_new_enough = "import sys; sys.exit(sys.version_info < (3, 10))";
    if !evidence::works(Command::new("python3").args(["-c", is_new_enough])) {
        return Err("this needs Python 3.10 or newer, which is missing: apt-get install python3 python3-venv".into());
    }
    println!("installing the packages of {} in {}", requirements.display(), environment.display());
    if !Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment).status()?.success() {
        return Err("python3 -m venv failed: apt-get install python3-venv".into());
    }
    let mut pip = Command::new(program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    if !pip.status()?.success() {
        return Err("pip could not install the packages; it needs the network".into());
    }
    Ok(())
}

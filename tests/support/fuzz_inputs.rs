//! The inputs that are kept of each fuzz target: a few as files of `fuzz/corpus/TARGET/`, so that `cargo +nightly fuzz
//! run TARGET` starts from them, and the others as the frames of `fuzz/corpus/TARGET.frames`, which `unstick decode
//! --format varint` shows.

use std::path::Path;
use std::{fs, io};

use unstick::framing::Format;

/// All inputs of a target below `corpus`, which is `fuzz/corpus`: first those that are files.
pub(crate) fn inputs(corpus: &Path, target: &str) -> io::Result<Vec<Vec<u8>>> {
    let files = fs::read_dir(corpus.join(target))?;
    let mut paths = files.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let mut inputs = paths.iter().map(fs::read).collect::<io::Result<Vec<_>>>()?;
    for frame in Format::VARINT.frames(&fs::read(corpus.join(format!("{target}.frames")))?) {
        let (_, frame) = frame.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault.to_string()))?;
        inputs.push(frame.payload().to_vec());
    }
    Ok(inputs)
}

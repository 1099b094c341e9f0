//! Tests of `tests/` once more, in one binary: see Cargo.toml.

#[cfg(test)]
#[path = "../adapters/main.rs"]
mod adapters;
#[cfg(test)]
#[path = "../allocation.rs"]
mod allocation;
#[cfg(test)]
#[path = "../blocking.rs"]
mod blocking;
#[cfg(test)]
#[path = "../codec/main.rs"]
mod codec;
#[cfg(test)]
#[path = "../conformance.rs"]
mod conformance;
#[cfg(test)]
#[path = "../errors.rs"]
mod errors;
#[cfg(test)]
#[path = "../framing_buffer.rs"]
mod framing_buffer;
#[cfg(test)]
#[path = "../framing_diagnosis.rs"]
mod framing_diagnosis;
#[cfg(test)]
#[path = "../framing_exhaustive.rs"]
mod framing_exhaustive;
#[cfg(test)]
#[path = "../framing_properties.rs"]
mod framing_properties;
#[cfg(test)]
#[path = "../framing_quick.rs"]
mod framing_quick;
#[cfg(test)]
#[path = "../framing_regressions.rs"]
mod framing_regressions;
#[cfg(test)]
#[path = "../framing_trailers.rs"]
mod framing_trailers;
#[cfg(test)]
#[path = "../framing_units.rs"]
mod framing_units;
#[cfg(test)]
#[path = "../golden.rs"]
mod golden;
#[cfg(test)]
#[path = "../replies.rs"]
mod replies;
#[cfg(test)]
#[path = "../simulation/main.rs"]
mod simulation;
#[cfg(test)]
#[path = "../timeouts.rs"]
mod timeouts;

//! The tasks of this repository: `cargo xtask TASK`, one file or folder for each.

#[cfg(target_os = "linux")]
mod attack;
#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod certificate;
#[cfg(target_os = "linux")]
mod child;
mod coverage;
mod evidence;
mod fuzz;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod load_cluster;
mod mutants;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod pictures;
mod prove;
mod public_api;
#[cfg(target_os = "linux")]
mod socket;
mod tests;
mod text;
mod verify;

use std::process::ExitCode;

use clap::Parser;

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    #[cfg(target_os = "linux")]
    Attack(attack::Args),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    AttackServer(attack::ServerArgs),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    AttackClient(attack::ClientArgs),
    Coverage(coverage::Args),
    Fuzz(fuzz::Args),
    #[cfg(target_os = "linux")]
    Load(load::Args),
    #[cfg(target_os = "linux")]
    LoadCluster(load_cluster::Args),
    #[cfg(target_os = "linux")]
    Bench(bench::Args),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchPeer(bench::PeerArgs),
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    BenchLoop(bench::LoopArgs),
    Mutants(mutants::Args),
    #[cfg(target_os = "linux")]
    Pictures(pictures::Args),
    Prove(prove::Args),
    PublicApi(public_api::Args),
    Test(tests::Args),
    Verify(verify::Args),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        #[cfg(target_os = "linux")]
        Task::Attack(args) => attack::run(&args),
        #[cfg(target_os = "linux")]
        Task::AttackServer(args) => attack::serve(&args),
        #[cfg(target_os = "linux")]
        Task::AttackClient(args) => attack::be_client(&args),
        Task::Coverage(args) => coverage::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        #[cfg(target_os = "linux")]
        Task::Load(args) => load::run(&args),
        #[cfg(target_os = "linux")]
        Task::LoadCluster(args) => load_cluster::run(&args),
        #[cfg(target_os = "linux")]
        Task::Bench(args) => bench::run(&args),
        #[cfg(target_os = "linux")]
        Task::BenchPeer(args) => bench::serve_as_peer(&args),
        #[cfg(target_os = "linux")]
        Task::BenchLoop(args) => Ok(bench::run_loop(&args)),
        Task::Mutants(args) => mutants::run(&args),
        #[cfg(target_os = "linux")]
        Task::Pictures(args) => pictures::run(&args),
        Task::Prove(args) => prove::run(&args),
        Task::PublicApi(args) => public_api::run(&args),
        Task::Test(args) => tests::run(&args),
        Task::Verify(args) => verify::run(&args),
    };
    done.unwrap_or_else(|error| {
        eprint!("error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            eprint!(": {error}");
            cause = error.source();
        }
        eprintln!();
        ExitCode::FAILURE
    })
}

//! `unstick`, the program: serve, connect, encode, decode, load and trace: length-prefixed frames from the terminal.

mod args;
mod broadcast;
mod connect;
mod decode;
mod dissector;
mod encode;
mod exit;
mod generate;
mod limits;
mod lines;
#[cfg(target_os = "linux")]
mod load;
mod metrics;
mod output;
mod prompt;
mod reactor;
mod serve;
mod serve_raw;
mod show;
mod signals;
mod stats;
mod text;
mod tls;
mod trace;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use exit::{Code, Failure};

/// Columns of the help, at most.
const WIDTH: usize = 80;

const EXAMPLES: &str = "\
Examples:
  unstick serve --echo              serve 127.0.0.1:4747, send each frame back
  unstick connect 127.0.0.1:4747    talk to it: each line is a frame, c closes
  printf 'a\\nb\\n' | unstick connect 127.0.0.1:4747
  printf 'a\\n\\n你好\\n' | unstick encode | unstick decode
  unstick decode --format u16be --frame capture.bin
  unstick load 127.0.0.1:4747       load an echo server, verify every byte
  unstick trace --pcap echo.pcap    which segments carried which frames";

/// Send and receive length-prefixed frames, over TCP or a Unix socket
///
/// A frame is a length, followed by that many bytes: its payload.
#[derive(Debug, Parser)]
#[command(name = "unstick", version, arg_required_else_help = true, max_term_width = WIDTH)]
#[command(disable_help_subcommand = true)]
#[command(after_help = format!("{EXAMPLES}\n\nMore: unstick --help (formats, escapes, exit codes), unstick COMMAND --help"))]
#[command(after_long_help = format!("{EXAMPLES}\n\n{}\n\n{}\n\n{}", args::formats_help(), text::HELP, exit::HELP))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Connect(Box<connect::Connect>),
    Encode(encode::Encode),
    Decode(decode::Decode),
    Dissector(dissector::Dissector),
    #[cfg(target_os = "linux")]
    Load(Box<load::Load>),
    Trace(trace::Trace),
    #[command(hide = true)]
    Generate(generate::Generate),
}

fn main() -> ExitCode {
    let result = match Cli::try_parse() {
        Ok(cli) => run(&cli.command),
        Err(error) => parse_failure(&error),
    };
    let Err(failure) = result else {
        return Code::Clean.into();
    };
    if let Some(text) = failure.text {
        exit::log(format_args!("unstick: {text}"));
    }
    failure.code.into()
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Serve(command) => serve::run(command),
        Command::Connect(command) => connect::run(command),
        Command::Encode(command) => encode::run(command),
        Command::Decode(command) => decode::run(command),
        Command::Dissector(command) => dissector::run(command),
        #[cfg(target_os = "linux")]
        Command::Load(command) => load::run(command),
        Command::Trace(command) => trace::run(command),
        Command::Generate(command) => generate::run(command, Cli::command()),
    }
}

/// Prints what clap returned: help that was asked for, help for a missing command, or an error, in one line like our own.
fn parse_failure(error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.print().map_err(|error| Failure::output(&error)),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            _ = error.print();
            Err(Failure { code: Code::Usage, text: None })
        }
        ErrorKind::InvalidSubcommand => {
            let line = one_line(&error.render().to_string());
            Err(Failure::usage(format_args!(
                "{line}; the commands are serve, connect, encode, decode, dissector, load, trace"
            )))
        }
        _ => Err(Failure::usage(one_line(&error.render().to_string()))),
    }
}

/// Clap's message in one line, without the usage and the hint at the end.
fn one_line(text: &str) -> String {
    let paragraphs = text.split("\n\n").take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more"));
    let lines: Vec<String> = paragraphs.map(|part| part.split_whitespace().collect::<Vec<&str>>().join(" ")).collect();
    let line = lines.join("; ");
    format!("{} (see --help)", line.strip_prefix("error: ").unwrap_or(&line))
}

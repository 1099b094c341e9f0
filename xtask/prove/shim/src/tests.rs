//! A counterexample of `cargo xtask prove`, as a test: the real code, called with one input, says what the specification
//! says.

use std::collections::BTreeMap;

use crate::{Input, Output, calls};

/// Reads the file that the environment variable `COUNTEREXAMPLE` names: lines of `name=value`.
#[test]
fn the_code_says_what_the_specification_says() {
    let Ok(path) = std::env::var("COUNTEREXAMPLE") else { return };
    let text = std::fs::read_to_string(&path).expect("the counterexample");
    let values: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let number = |name: &str| values[name].parse::<u64>().expect(name);
    let byte = |name: &str| number(name) as u8;
    let hex = values["bytes"];
    let mut bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect();
    bytes.resize(number("len") as usize, 0);
    let input = Input {
        adjustment: values["adjustment"].parse().expect("adjustment"),
        limit: number("limit") as usize,
        bytes: bytes.as_ptr(),
        len: bytes.len(),
        start: number("start") as usize,
        payload_len: number("payload_len") as usize,
        offset: byte("offset"),
        width: byte("width"),
        order: byte("order"),
        trailer: byte("trailer"),
    };
    let call = match values["function"] {
        "new" => calls::new,
        "parse" => calls::parse,
        "whole_frame" => calls::whole_frame,
        "header" => calls::header,
        "split_first" => calls::split_first,
        "decoder" => calls::decoder,
        other => panic!("no function {other}"),
    };
    let allowed: Vec<Output> = values["allowed"]
        .split(';')
        .map(|output| {
            let numbers: Vec<u64> = output.split(' ').map(|number| number.parse().expect("a number")).collect();
            numbers.try_into().expect("as many numbers as an output has")
        })
        .collect();
    let found = call(&input, &bytes);
    assert!(allowed.contains(&found), "{found:?} is none of {allowed:?}");
}

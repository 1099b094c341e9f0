//! The loopback interface of the namespace, set up as `ip link set lo mtu 1500 gso_max_segs 1 up` does: by netlink (rtnetlink(7)).

use std::io::{self, Read, Write};

use socket2::{Domain, Protocol, Socket, Type};

use super::error::LiveError;

/// The interface's number: in each namespace, it is the first one.
const LOOPBACK: i32 = 1;

const AF_NETLINK: i32 = 16;
const NETLINK_ROUTE: i32 = 0;
const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const IFF_UP: u32 = 1;
const IFLA_MTU: u16 = 4;
const IFLA_GSO_MAX_SEGS: u16 = 40;

/// Makes its packets as long as on a cable, each with one segment, and starts it.
pub(super) fn set_up() -> Result<(), LiveError> {
    for (what, attribute, flags) in [
        ("packets of up to 1500 bytes", Some((IFLA_MTU, 1500)), 0),
        ("one segment in each packet (gso_max_segs, of Linux 4.16)", Some((IFLA_GSO_MAX_SEGS, 1)), 0),
        ("the state \"up\"", None, IFF_UP),
    ] {
        change(attribute, flags).map_err(|error| LiveError::Loopback { what, error })?;
    }
    Ok(())
}

/// Asks the kernel to change an attribute or to set flags, and waits for its answer.
fn change(attribute: Option<(u16, u32)>, flags: u32) -> io::Result<()> {
    let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::RAW, Some(Protocol::from(NETLINK_ROUTE)))?;
    socket.write_all(&request(attribute, flags))?;
    let mut answer = [0; 1024];
    let len = socket.read(&mut answer)?;
    result(&answer[..len])
}

/// A header, an `ifinfomsg`, and an attribute.
fn request(attribute: Option<(u16, u32)>, flags: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(LOOPBACK.to_ne_bytes());
    // The flags, and which of them to change.
    body.extend(flags.to_ne_bytes());
    body.extend(flags.to_ne_bytes());
    if let Some((kind, value)) = attribute {
        body.extend(8u16.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value.to_ne_bytes());
    }
    let mut request = (16 + body.len() as u32).to_ne_bytes().to_vec();
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // Its number and its sender: there is only one.
    request.extend([0; 8]);
    request.extend(body);
    request
}

/// What the kernel answered: the code of an error, which is 0 if all went well.
fn result(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::Error::other("the kernel's answer is not understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_an_error_or_none() {
        let answer = |code: i32| {
            let mut answer = vec![36, 0, 0, 0];
            answer.extend(NLMSG_ERROR.to_ne_bytes());
            answer.extend([0; 10]);
            answer.extend(code.to_ne_bytes());
            answer
        };
        assert!(result(&answer(0)).is_ok());
        assert_eq!(result(&answer(-1)).unwrap_err().raw_os_error(), Some(1));
        for strange in [&[][..], &[0; 6], &[0; 40]] {
            assert!(result(strange).is_err());
        }
    }

    #[test]
    fn a_request_has_its_own_length() {
        for (attribute, len) in [(None, 32), (Some((IFLA_MTU, 1500)), 40)] {
            let request = request(attribute, 0);
            assert_eq!((request.len(), request[0]), (len, len as u8 * u8::from(cfg!(target_endian = "little"))));
        }
    }
}

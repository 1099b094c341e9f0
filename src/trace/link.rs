//! What is before an IP packet on its link.

use etherparse::EtherType;
use pcap_parser::Linktype;

/// A link whose packets can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Bytes of the header, and where in it the type of what follows is. Tags of VLANs may be between.
    Typed { header_len: usize, type_at: usize },
    /// Bytes of the header; the first byte of the IP header tells its version.
    Untyped { header_len: usize },
}

impl Link {
    /// `None` if its packets cannot be read.
    pub(super) fn of(link_type: Linktype) -> Option<Link> {
        // What BSDs call raw IP in files of their own.
        const RAW_BSD: [Linktype; 2] = [Linktype(12), Linktype(14)];
        match link_type {
            Linktype::ETHERNET => Some(Link::Typed { header_len: 14, type_at: 12 }),
            Linktype::LINUX_SLL => Some(Link::Typed { header_len: 16, type_at: 14 }),
            Linktype::LINUX_SLL2 => Some(Link::Typed { header_len: 20, type_at: 0 }),
            Linktype::NULL | Linktype::LOOP => Some(Link::Untyped { header_len: 4 }),
            Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => Some(Link::Untyped { header_len: 0 }),
            other => RAW_BSD.contains(&other).then_some(Link::Untyped { header_len: 0 }),
        }
    }

    /// Where the IP header begins in a packet of the link; `None` if it has none.
    pub(super) fn ip_offset(self, packet: &[u8]) -> Option<usize> {
        let offset = match self {
            Link::Untyped { header_len } => header_len,
            Link::Typed { header_len, type_at } => behind_tags(packet, header_len, type_at)?,
        };
        let version = packet.get(offset)? >> 4;
        matches!(version, 4 | 6).then_some(offset)
    }
}

/// Where the IP header begins after a typed header and the tags of VLANs.
fn behind_tags(packet: &[u8], header_len: usize, type_at: usize) -> Option<usize> {
    let (mut offset, mut type_at) = (header_len, type_at);
    loop {
        let ether_type = EtherType(u16::from_be_bytes([*packet.get(type_at)?, *packet.get(type_at + 1)?]));
        match ether_type {
            EtherType::IPV4 | EtherType::IPV6 => return Some(offset),
            EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {
                type_at = offset + 2;
                offset += 4;
            }
            _ => return None,
        }
    }
}

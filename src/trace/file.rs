//! Reads capture files: pcap and pcapng, of either byte order, with any resolution of time.

use std::time::Duration;

use pcap_parser::nom::{Err, IResult};
use pcap_parser::pcap::{
    LegacyPcapBlock, PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
};
use pcap_parser::pcapng::{Block, parse_block_be, parse_block_le};
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Linktype, PcapError, parse_pcap_header};

use super::error::TraceError;
use super::link::Link;
use super::packet::{Capture, Packet};

/// The type of the first block of a pcapng file; it reads the same in both byte orders.
const PCAPNG_MAGIC: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
/// Nanoseconds in a second.
const NANOS: u128 = 1_000_000_000;

type Parsed<'a, T> = IResult<&'a [u8], T, PcapError<&'a [u8]>>;

impl Capture {
    /// Reads a capture file, pcap or pcapng.
    ///
    /// A file that ends inside a packet or is damaged gives the packets before that, and a note.
    ///
    /// # Errors
    /// [`TraceError::NotACapture`] if it begins as neither, and [`TraceError::LinkType`] if none of its packets is of a
    /// link that can be read.
    pub fn read(file: &[u8]) -> Result<Capture, TraceError> {
        let mut reader = Reader::default();
        if file.starts_with(&PCAPNG_MAGIC) {
            reader.pcapng(file);
        } else {
            let not = || TraceError::NotACapture { len: file.len(), start: file[..file.len().min(4)].to_vec() };
            let (rest, header) = parse_pcap_header(file).map_err(|_| not())?;
            reader.pcap(&header, rest, file.len());
        }
        reader.end()
    }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reader {
    capture: Capture,
    /// Packets, also those that are not IP.
    packets: u64,
    not_ip: u64,
    /// The first link type that cannot be read, and how many packets are of such.
    unknown: Option<(i32, u64)>,
}

impl Reader {
    fn pcap(&mut self, header: &PcapHeader, mut rest: &[u8], file_len: usize) {
        let parse: fn(&[u8]) -> Parsed<'_, LegacyPcapBlock<'_>> = match () {
            () if header.is_modified_format() => parse_pcap_frame_modified,
            () if header.is_bigendian() => parse_pcap_frame_be,
            () => parse_pcap_frame,
        };
        let nanos_per_unit = if header.is_nanosecond_precision() { 1 } else { 1000 };
        // The upper bits of the field say how long a checksum is, not what the link is.
        let link_type = Linktype(header.network.0 & 0xFFFF);
        while !rest.is_empty() {
            let offset = file_len - rest.len();
            match parse(rest) {
                Ok((after, block)) => {
                    let time = Duration::from_secs(u64::from(block.ts_sec))
                        + Duration::from_nanos(u64::from(block.ts_usec) * nanos_per_unit);
                    self.packet(link_type, time, block.data, block.origlen as usize);
                    rest = after;
                }
                Err(error) => return self.damaged(&error, offset),
            }
        }
    }

    fn pcapng(&mut self, file: &[u8]) {
        let mut rest = file;
        let mut section = Section::default();
        while !rest.is_empty() {
            let offset = file.len() - rest.len();
            let parse: fn(&[u8]) -> Parsed<'_, Block<'_>> =
                if section.is_big_endian { parse_block_be } else { parse_block_le };
            match parse(rest) {
                Ok((after, block)) => {
                    self.block(&block, &mut section);
                    rest = after;
                }
                Err(error) => return self.damaged(&error, offset),
            }
        }
    }

    fn block(&mut self, block: &Block<'_>, section: &mut Section) {
        match block {
            Block::SectionHeader(header) => {
                *section = Section { is_big_endian: header.big_endian(), interfaces: Vec::new() };
            }
            Block::InterfaceDescription(interface) => section.interfaces.push(Interface {
                link_type: interface.linktype,
                snap_len: interface.snaplen,
                units: interface.ts_resolution().unwrap_or(1_000_000).max(1),
                offset: interface.ts_offset(),
            }),
            Block::EnhancedPacket(packet) => {
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                match section.interfaces.get(packet.if_id as usize) {
                    Some(interface) => {
                        let (link_type, time) = (interface.link_type, interface.time(ticks));
                        self.packet(link_type, time, packet.packet_data(), packet.origlen as usize);
                    }
                    None => self.unknown(-1),
                }
            }
            Block::SimplePacket(packet) => match section.interfaces.first() {
                Some(interface) => {
                    let data = packet.packet_data();
                    let snap_len = if interface.snap_len == 0 { usize::MAX } else { interface.snap_len as usize };
                    let link_type = interface.link_type;
                    self.packet(link_type, Duration::ZERO, &data[..data.len().min(snap_len)], packet.origlen as usize);
                }
                None => self.unknown(-1),
            },
            _ => {}
        }
    }

    /// Takes a packet of a link.
    fn packet(&mut self, link_type: Linktype, time: Duration, data: &[u8], original_len: usize) {
        let Some(link) = Link::of(link_type) else { return self.unknown(link_type.0) };
        self.packets += 1;
        match link.ip_offset(data) {
            None => self.not_ip += 1,
            Some(offset) => {
                let bytes = data[offset..].to_vec();
                let len = original_len.saturating_sub(offset).max(bytes.len());
                self.capture.packets.push(Packet { number: self.packets, time, bytes, len });
            }
        }
    }

    /// Takes a packet of a link that cannot be read.
    fn unknown(&mut self, link_type: i32) {
        self.packets += 1;
        self.unknown.get_or_insert((link_type, 0)).1 += 1;
    }

    fn damaged(&mut self, error: &Err<PcapError<&[u8]>>, offset: usize) {
        let what = if error.is_incomplete() { "ends inside the packet or block" } else { "is damaged" };
        self.capture.notes.push(format!("the file {what} at byte {offset}, after {} packets", self.packets));
    }

    fn end(mut self) -> Result<Capture, TraceError> {
        if let Some((link_type, packets)) = self.unknown {
            if packets == self.packets {
                return Err(TraceError::LinkType { link_type, packets });
            }
            let note = format!("{packets} packets of other links, such as type {link_type}, are left out");
            self.capture.notes.push(note);
        }
        if self.not_ip > 0 {
            self.capture.notes.push(format!("{} packets that are not IP are left out", self.not_ip));
        }
        Ok(self.capture)
    }
}

/// What the blocks of a section have in common.
#[derive(Debug, Default)]
struct Section {
    is_big_endian: bool,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: Linktype,
    /// The most bytes of a packet that are captured; 0 for no limit.
    snap_len: u32,
    /// Units of time in a second.
    units: u64,
    /// Seconds to add to each time.
    offset: i64,
}

impl Interface {
    fn time(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks % self.units) * NANOS / u128::from(self.units);
        Duration::new((ticks / self.units).saturating_add_signed(self.offset), nanos as u32)
    }
}

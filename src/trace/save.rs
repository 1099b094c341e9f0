//! Writes captures, for other programs to read.

use super::packet::Capture;

/// The magic number of files with times in nanoseconds.
const MAGIC: u32 = 0xA1B2_3C4D;
/// Packets begin with their IP header: LINKTYPE_RAW.
const LINK_TYPE: u32 = 101;
/// The longest packet that there can be.
const SNAP_LEN: u32 = 262_144;

impl Capture {
    /// The capture as a pcap file of raw IP packets, which Wireshark and [`Capture::read`] read.
    ///
    /// Packets that are not IP are not in a capture, so numbers may differ. Times are those after 1970 and before 2106.
    ///
    /// ```
    /// use unstick::trace::Capture;
    /// let file = Capture::default().to_pcap();
    /// assert_eq!(file.len(), 24); // a header, and no packet
    /// ```
    pub fn to_pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        // Version 2.4, time zone 0.
        for word in [MAGIC, 0x0004_0002, 0, 0, SNAP_LEN, LINK_TYPE] {
            file.extend(word.to_le_bytes());
        }
        for packet in &self.packets {
            let (captured, len) = (packet.bytes.len() as u32, packet.len as u32);
            for word in [packet.time.as_secs() as u32, packet.time.subsec_nanos(), captured, len] {
                file.extend(word.to_le_bytes());
            }
            file.extend(&packet.bytes);
        }
        file
    }
}

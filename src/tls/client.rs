//! A client's end of a session.

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, CommonState, Error};

use super::session::{Session, Side, Step, Write, step};

pub(crate) type ClientSide = Box<UnbufferedClientConnection>;

impl Session<ClientSide> {
    /// A client's end. The server's certificate must be valid for this name.
    ///
    /// # Errors
    /// rustls's error about the configuration.
    pub(crate) fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Session<ClientSide>, Error> {
        UnbufferedClientConnection::new(config, name).map(|client| Session::new(Box::new(client)))
    }
}

impl Side for ClientSide {
    fn step(
        &mut self,
        records: &mut [u8],
        outgoing: &mut Vec<u8>,
        put: &mut dyn FnMut(&[u8]),
        write: Option<Write<'_>>,
    ) -> (usize, Result<Step, Error>) {
        step(self.process_tls_records(records), outgoing, put, write)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

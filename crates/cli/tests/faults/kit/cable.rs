//! A cable between a client and the server that can be cut: from then on nothing passes, no FIN either, and nobody is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A TCP proxy for one connection.
#[derive(Debug)]
pub(crate) struct Cable {
    /// Where a client connects.
    pub(crate) address: SocketAddr,
    cut: Arc<AtomicBool>,
    ends: Arc<std::sync::Mutex<Vec<TcpStream>>>,
}

impl Cable {
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let cable = Self {
            address,
            cut: Arc::default(),
            ends: Arc::default(),
        };
        let (cut, ends) = (Arc::clone(&cable.cut), Arc::clone(&cable.ends));
        thread::spawn(move || {
            let (client, _) = listener.accept().expect("a client");
            let server = TcpStream::connect(server).expect("the server");
            for end in [&client, &server] {
                end.set_nodelay(true).expect("a socket");
                let kept = end.try_clone().expect("a descriptor");
                ends.lock().expect("no thread panics").push(kept);
            }
            for (from, to) in [(&client, &server), (&server, &client)] {
                let [from, to] = [from, to].map(|end| end.try_clone().expect("a descriptor"));
                let cut = Arc::clone(&cut);
                thread::spawn(move || carry(from, to, &cut));
            }
        });
        cable
    }

    /// What is under way is lost, and whatever comes.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for end in self.ends.lock().expect("no thread panics").drain(..) {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut block = [0; 4096];
    while let Ok(length) = from.read(&mut block) {
        // Read on, or the kernels would see a full buffer where there is no cable.
        match (cut.load(Ordering::SeqCst), length) {
            (true, 0) => return,
            (false, 0) => return drop(to.shutdown(Shutdown::Write)),
            (false, _) if to.write_all(&block[..length]).is_err() => return,
            _ => {}
        }
    }
}

//! A stand-in for the program cloudflared, which cannot reach Cloudflare from a test: `src/bin/cloudflared-stand-in`.
//!
//! It takes the flags, ends with the codes, writes the lines, serves the pages and heeds the signals of cloudflared
//! 2026.8.2, and passes requests on as Cloudflare's edge does: over TLS, under the public name, with the edge's headers.
//! What happens to it is written into `behavior.json` of its folder ([`Behaviour`]), at any time. It is useful by itself
//! to whoever writes a tunnel plugin: `cargo run -p nexus-tests --bin cloudflared-stand-in -- help`.

pub mod public;

use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The variable that names the stand-in's folder. Its caller clears the environment, so a wrapper sets it.
pub const FOLDER: &str = "CLOUDFLARED_STAND_IN";

/// What Cloudflare does to it. Read again and again while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    pub version: String,
    /// The status of the quick service; 200 gives a name, 204 stands for an empty answer with status 200.
    pub quick: u16,
    /// Where its public side listens; 0: anywhere.
    pub public: u16,
    pub register: Register,
    /// QUIC comes through; HTTP/2 always does.
    pub quic: bool,
    /// How many connections a tunnel of one's own gets; a quick one gets one.
    pub connections: u32,
    /// What the dashboard says: the JSON of `config` in the page `/config`. Without it none arrives.
    pub remote: Option<serde_json::Value>,
    /// An older one: this flag is not known to it.
    pub unknown_flag: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Register {
    Accepted,
    /// Refused as a wrong secret is. Over QUIC no line says so: it is only counted.
    Unauthorized,
    /// Refused with another text, or not answered: over HTTP/2 cloudflared exits, over QUIC it never does.
    Failing,
    /// Not reachable; what was connected is lost.
    Unreachable,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            version: "2026.8.2".to_owned(),
            quick: 200,
            public: 0,
            register: Register::Accepted,
            quic: true,
            connections: 4,
            remote: None,
            unknown_flag: None,
        }
    }
}

/// What the stand-in tells about each of its starts, in `start-N.json` of its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    pub pid: u32,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Where its public side listens.
    pub public: u16,
    pub protocol: String,
}

/// The folder of a stand-in, and the program to be called.
pub struct Cloudflared {
    folder: PathBuf,
}

impl Cloudflared {
    /// Lays out `folder`; `program` is the built stand-in.
    pub fn prepare(folder: &Path, program: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let wrapper = folder.join("cloudflared");
        let text = format!(
            "#!/bin/sh\n{FOLDER}='{}' exec '{}' \"$@\"\n",
            folder.display(),
            program.display()
        );
        crate::write_with_mode(&wrapper, &text, 0o755);
        let this = Self {
            folder: folder.to_owned(),
        };
        this.behave(&Behaviour::default());
        this
    }

    /// What the configuration names.
    pub fn binary(&self) -> PathBuf {
        self.folder.join("cloudflared")
    }

    /// What vouches for its public side, once it has started.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("public.pem")
    }

    pub fn behave(&self, behaviour: &Behaviour) {
        // In one step: it is read at any time.
        let next = self.folder.join("behavior.next");
        fs::write(&next, serde_json::to_vec(behaviour).unwrap()).unwrap();
        fs::rename(next, self.folder.join("behavior.json")).unwrap();
    }

    /// How often the quick service was asked.
    pub fn asked(&self) -> usize {
        fs::read_to_string(self.folder.join("asked")).map_or(0, |asked| asked.lines().count())
    }

    /// All its starts as a tunnel, the first one first.
    pub fn starts(&self) -> Vec<Started> {
        let mut starts = Vec::new();
        while let Ok(bytes) = fs::read(self.folder.join(format!("start-{}.json", starts.len()))) {
            starts.push(serde_json::from_slice(&bytes).unwrap());
        }
        starts
    }
}

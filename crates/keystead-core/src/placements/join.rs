//! Join tokens: what lets a machine ask for an agent's certificate, once.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// What a token allows, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// What the agent has to be called, if that was said.
    pub name: Option<String>,
    /// From where it has to be used, if that was said.
    pub from: Option<Network>,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// Who used it.
    pub used: Option<Used>,
}

/// The use of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// When.
    pub at: Timestamp,
    /// The name of the agent that it made.
    pub name: String,
    /// SHA-256 of the key that was certified.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
}

/// Who shows a token.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// What it calls itself.
    pub name: Option<&'a str>,
    /// Where it is; `None` on a Unix socket.
    pub from: Option<IpAddr>,
    /// SHA-256 of its key.
    pub key: &'a [u8],
}

impl JoinToken {
    /// The name of the agent that this makes; and whether it was made before: the same key may ask again for the
    /// certificate that it did not hear of.
    ///
    /// Refuses with [`ErrorKind::AccessDenied`] and [`ErrorKind::Validation`].
    pub fn admit(&self, shown: Shown<'_>, now: Timestamp) -> Result<(String, bool)> {
        if let Some(used) = &self.used {
            if used.key == shown.key && now < self.expires_at {
                return Ok((used.name.clone(), true));
            }
            return Err(denied(format!(
                "The join token was used already, on {:.0} by the agent {}: make another with 'keystead agent token'.",
                used.at, used.name
            )));
        }
        if now >= self.expires_at {
            return Err(denied(format!(
                "The join token could be used until {:.0}: make another with 'keystead agent token'.",
                self.expires_at
            )));
        }
        if let Some(network) = &self.from
            && !shown.from.is_some_and(|from| network.contains(from))
        {
            let seen = shown
                .from
                .map_or("a Unix socket".to_owned(), |from| from.to_string());
            return Err(denied(format!(
                "The join token is for use from {network}, and this call comes from {seen}."
            )));
        }
        match (&self.name, shown.name) {
            (Some(fixed), _) => Ok((fixed.clone(), false)),
            (None, Some(name)) => Ok((name.to_owned(), false)),
            (None, None) => Err(Error::new(
                ErrorKind::Validation,
                "The join token fixes no name for the agent: give a Name.",
            )),
        }
    }
}

/// Addresses with the same first bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads an address, or an address and a number of bits behind a slash.
    ///
    /// Refuses with [`ErrorKind::Validation`].
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || {
            Error::new(
                ErrorKind::Validation,
                format!(
                    "'{text}' is no address and no network: expected for instance 10.1.2.3 or 10.1.0.0/16."
                ),
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let most = width(address);
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(refused)?,
        };
        Ok(Self { address, bits })
    }

    /// Whether this address is one of them. An IPv4 address in its IPv6 form is the same address (RFC 4291 section 2.5.5.2).
    pub fn contains(&self, other: IpAddr) -> bool {
        let (own, other) = (self.address.to_canonical(), other.to_canonical());
        let bits = match (self.address, own) {
            (IpAddr::V6(_), IpAddr::V4(_)) => self.bits.saturating_sub(96),
            _ => self.bits,
        };
        width(own) == width(other) && first_bits(own, bits) == first_bits(other, bits)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn first_bits(address: IpAddr, bits: u8) -> u128 {
    let number = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let rest = u32::from(width(address).saturating_sub(bits));
    number.checked_shr(rest).unwrap_or(0)
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bits == width(self.address) {
            true => self.address.fmt(f),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

fn denied(message: String) -> Error {
    Error::new(ErrorKind::AccessDenied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn token() -> JoinToken {
        JoinToken {
            name: None,
            from: None,
            expires_at: at(100),
            used: None,
        }
    }

    const SHOWN: Shown<'_> = Shown {
        name: Some("web"),
        from: None,
        key: &[1],
    };

    fn refusal(token: &JoinToken, shown: Shown<'_>, now: i64) -> String {
        token.admit(shown, at(now)).unwrap_err().message
    }

    #[test]
    fn a_token_is_used_once_by_one_key_before_its_end() {
        assert_eq!(token().admit(SHOWN, at(99)).unwrap(), ("web".into(), false));
        assert!(refusal(&token(), SHOWN, 100).contains("could be used until 1970-01-01T00:01:40Z"));
        let used = JoinToken {
            used: Some(Used {
                at: at(5),
                name: "first".into(),
                key: vec![1],
            }),
            ..token()
        };
        assert_eq!(
            used.admit(SHOWN, at(99)).unwrap(),
            ("first".into(), true),
            "it did not hear the answer"
        );
        let other = Shown { key: &[2], ..SHOWN };
        assert!(
            refusal(&used, other, 6)
                .contains("used already, on 1970-01-01T00:00:05Z by the agent first")
        );
        assert!(refusal(&used, SHOWN, 100).contains("used already"));
    }

    #[test]
    fn a_token_may_fix_the_name_and_the_place() {
        let fixed = JoinToken {
            name: Some("db".into()),
            from: Some(Network::parse("10.1.0.0/16").unwrap()),
            ..token()
        };
        let from = |text: &str| Shown {
            from: Some(text.parse().unwrap()),
            ..SHOWN
        };
        assert_eq!(fixed.admit(from("10.1.9.9"), at(1)).unwrap().0, "db");
        assert!(
            refusal(&fixed, from("10.2.0.1"), 1)
                .contains("from 10.1.0.0/16, and this call comes from 10.2.0.1")
        );
        assert!(refusal(&fixed, SHOWN, 1).contains("a Unix socket"));
        let nameless = Shown {
            name: None,
            ..SHOWN
        };
        assert_eq!(
            token().admit(nameless, at(1)).unwrap_err().kind,
            ErrorKind::Validation
        );
    }

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.3/32", "::ffff:10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "1.2.3.4", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:9::1", "2001:db9::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(
                parsed.contains(inside.parse().unwrap()),
                "{network} {inside}"
            );
            assert!(
                !parsed.contains(outside.parse().unwrap()),
                "{network} {outside}"
            );
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "host",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::/129",
        ] {
            assert_eq!(
                Network::parse(bad).unwrap_err().kind,
                ErrorKind::Validation,
                "{bad}"
            );
        }
    }
}

//! Time-limited credentials, the form of the "REST API for access to TURN services" that coturn made common: the username is the second
//! of expiry, with an id behind a colon; the password is base64(HMAC-SHA1(secret, username)). Whoever knows the secret can
//! issue them, and the relay remembers none.

use std::fmt;

use data_encoding::BASE64;
use hmac::{Hmac, Mac};
use sha1::Sha1;

/// What the relay and those who issue credentials for it share.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Any bytes; those of a text are what coturn calls `static-auth-secret`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// A username that is good until `expiry`, in seconds since 1970, and its password. `id` is whom quotas count.
    pub fn issue(&self, expiry: u64, id: &str) -> (String, String) {
        let username = format!("{expiry}:{id}");
        let password = self.password(&username);
        (username, password)
    }

    pub(crate) fn password(&self, username: &str) -> String {
        let mut hmac =
            Hmac::<Sha1>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        hmac.update(username.as_bytes());
        BASE64.encode(&hmac.finalize().into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `echo -n 1433895918:Administrator | openssl dgst -sha1 -hmac n0r7h -binary | base64`, and by coturn's `turnutils_uclient -W`.
    #[test]
    fn credentials_are_those_that_others_make_of_the_secret() {
        let (username, password) = Secret::new("n0r7h").issue(1_433_895_918, "Administrator");
        assert_eq!(username, "1433895918:Administrator");
        assert_eq!(password, "+1MMpYvznWsqY59I2R5XbKQp1Kw=");
    }
}

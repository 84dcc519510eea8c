//! Who may try a name, and where names lead.

use std::time::Duration;

use serde_json::Value;

use super::{Model, is_drawn};
use crate::MOST_FAILURES;

const FAILURES_COUNT: Duration = Duration::from_secs(60);

impl Model {
    /// Four a minute; what was made of chosen names does not count against a drawn one.
    pub(super) fn may_look_up(&self, from: u64, name: &str) -> Result<(), &'static str> {
        if self.looks_up(self.connections[&from].source, name) {
            Ok(())
        } else {
            Err("rate-limited")
        }
    }

    fn looks_up(&self, source: u8, name: &str) -> bool {
        let Some(&(refused, made, since)) = self.look_ups.get(&source) else {
            return true;
        };
        let count = if is_drawn(name) {
            refused
        } else {
            refused + made
        };
        count < MOST_FAILURES || self.now >= since + FAILURES_COUNT
    }

    pub(super) fn failed<T>(&mut self, from: u64, code: &'static str) -> Result<T, &'static str> {
        self.count(self.connections[&from].source, [1, 0]);
        Err(code)
    }

    /// So many look-ups more were refused, and so many made a room.
    pub(super) fn count(&mut self, source: u8, more: [u32; 2]) {
        let (refused, made, since) = self.look_ups.entry(source).or_insert((0, 0, self.now));
        if self.now >= *since + FAILURES_COUNT {
            (*refused, *made, *since) = (0, 0, self.now);
        }
        *refused += more[0];
        *made += more[1];
    }

    /// A room apart is found by its name as soon as its maker may try one more and nobody else has it.
    pub(super) fn claim_name(&mut self, room: usize) {
        let (source, name) = (self.rooms[room].maker, self.rooms[room].name.clone());
        let waits = self.rooms[room].apart.is_some() && !self.rooms[room].members.is_empty();
        if !waits || !self.looks_up(source, &name) {
            return;
        }
        self.count(source, [0, 1]);
        if self.room(&name).is_none() {
            self.rooms[room].apart = None;
        }
    }

    pub(super) fn room_apart(&self, name: &str, session: &str) -> Option<usize> {
        self.rooms
            .iter()
            .position(|room| room.name == name && room.apart.as_deref() == Some(session))
    }

    pub(super) fn seat_of_token(
        &self,
        name: &str,
        session: Option<&str>,
        token: &Value,
    ) -> Option<(usize, usize)> {
        let apart = session.and_then(|session| self.room_apart(name, session));
        [self.room(name), apart]
            .into_iter()
            .flatten()
            .find_map(|room| {
                let members = &self.rooms[room].members;
                let member = members.iter().position(|member| member.token == *token)?;
                Some((room, member))
            })
    }

    pub(super) fn room(&self, name: &str) -> Option<usize> {
        self.rooms
            .iter()
            .position(|room| room.name == name && room.apart.is_none())
    }
}

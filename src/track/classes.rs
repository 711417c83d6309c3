//! What a track is, when the detector wavers: the class that was detected with most confidence
//! all in all.

/// Classes that a track keeps apart; a detector seldom wavers between more.
const KEPT: usize = 4;

/// The classes a track was detected as, each with its sum of confidences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClassVotes {
    votes: [(u32, f32); KEPT],
    count: usize,
}

impl ClassVotes {
    /// One vote.
    pub fn of(class_id: u32, confidence: f32) -> Self {
        let mut votes = [(0, 0.0); KEPT];
        votes[0] = (class_id, confidence);
        Self { votes, count: 1 }
    }

    /// One more vote. Where all places are taken, the weakest class makes room.
    pub fn add(&mut self, class_id: u32, confidence: f32) {
        if let Some(vote) = self.votes[..self.count].iter_mut().find(|vote| vote.0 == class_id) {
            vote.1 += confidence;
            return;
        }
        if self.count < KEPT {
            self.votes[self.count] = (class_id, confidence);
            self.count += 1;
            return;
        }
        let weakest = (0..KEPT).min_by(|a, b| self.votes[*a].1.total_cmp(&self.votes[*b].1));
        if let Some(weakest) = weakest {
            self.votes[weakest] = (class_id, confidence);
        }
    }

    /// The votes of another part of the track.
    pub fn add_all(&mut self, other: &Self) {
        for (class_id, confidence) in &other.votes[..other.count] {
            self.add(*class_id, *confidence);
        }
    }

    /// The class with most votes; the earlier where two have as many.
    pub fn best(&self) -> u32 {
        let mut best = self.votes[0];
        for vote in &self.votes[1..self.count] {
            if vote.1 > best.1 {
                best = *vote;
            }
        }
        best.0
    }
}

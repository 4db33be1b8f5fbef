//! What several connections share, and whether its failure explains theirs.
//!
//! | parent | it is down when | it is up again when |
//! |---|---|---|
//! | uplink | no tunnel over it is Up by our end, no AWS outside address behind it and no reference answers, and a reference is known to have fallen silent since | a tunnel over it is Up, or a reference or an outside address answers |
//! | site | every connection that has ever worked does not carry | one carries |
//! | group | the same of its connections; redundancy is lost while some of them do not carry | one carries; all do |

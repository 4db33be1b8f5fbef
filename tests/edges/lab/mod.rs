//! The daemon from end to end on two real IPsec tunnels: real probes, real faults, and an AWS whose view follows the
//! state of the charon and the BIRD at its end. Needs root; tests/setup.sh installs the rest.

mod agreement;
mod bgp;
mod causes;
mod crash;
mod disagreement;
mod interface;
mod loss;
mod restart;
mod silence;
mod stage;

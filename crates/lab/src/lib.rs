//! Simulators, and the oracle.

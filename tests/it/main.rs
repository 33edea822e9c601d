//! One binary for everything that needs no broker of its own: records, wires, the command line, the architecture.

mod normalize;

//! From a body to an event and to a record: values and arithmetic, no I/O.

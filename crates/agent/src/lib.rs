//! The node agent as a library: evidence up, identities, certificates and policy down.

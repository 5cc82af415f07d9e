//! Who may have which SVID, and the bytes to be signed.

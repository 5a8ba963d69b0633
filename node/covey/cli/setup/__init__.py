"""Behind `covey init`, `covey check` and `covey keys`: settings files, keystores, checks, signer rotation."""

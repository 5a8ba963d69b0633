"""What must survive a crash: the journal, the secrets, and the disk they are on."""

"""What trainings of networks by torch have in common, whatever they are to find."""

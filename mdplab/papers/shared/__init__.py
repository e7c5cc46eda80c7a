"""What several papers measure with; a paper is a module of the folder above, its claims stand there."""

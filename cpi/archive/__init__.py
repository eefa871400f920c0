"""ZIP archives as packages have them: read strictly, written reproducibly."""

"""The Python face: what `import rnnbench` offers. Every answer is data; cli/ prints the same readings."""

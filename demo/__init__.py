"""The story `make demo` tells. The only folder that knows all sides."""

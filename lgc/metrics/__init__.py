"""What is measured: adapters over libraries, each value with its meaning."""

"""What every measurement needs: processes with their own CPU clocks, a load, and what machine this is."""

"""Delete rows when their time is over: policies, cutoffs, batches."""

"""Values that everything else passes around; no behaviour beyond reading themselves."""
